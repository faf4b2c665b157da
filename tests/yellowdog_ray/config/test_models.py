"""The models of the YAML's sections."""

from pathlib import Path

import pytest

from yellowdog_ray.config.models import NodeConfig, ProviderSettings


@pytest.mark.parametrize(
    ("userdata", "extra", "full"),
    [
        (None, None, None),
        ("", "  \n", None),
        ("#!/bin/sh\necho a\n", None, "#!/bin/sh\necho a\n"),
        ("#!/bin/sh\necho a", "echo b\n", "#!/bin/sh\necho a\necho b\n"),
        ("echo a", "echo b", "#!/bin/bash\necho a\necho b\n"),
        (None, "#cloud-config\npackages: [x]", "#cloud-config\npackages: [x]\n"),
    ],
    ids=["neither", "blank", "one", "both", "without a first line", "cloud-config"],
)
def test_full_userdata_joins_both_scripts_for_cloud_init(userdata, extra, full):
    config = NodeConfig(compute_requirement_template="demo/t", userdata=userdata, extra_userdata=extra)

    assert config.full_userdata == full


PAGE = (Path(__file__).parents[3] / "docs/configuration.md").read_text()
KEYS = [*ProviderSettings.model_fields.keys() - {"internal"}, *NodeConfig.model_fields]


@pytest.mark.parametrize("key", sorted(KEYS))
def test_key_is_documented(key):
    assert f"`{key}`" in PAGE
