"""The model of a node type's `node_config`."""

import pytest

from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.config.userdata import full_userdata


@pytest.mark.parametrize(
    ("userdata", "extra", "full"),
    [
        (None, None, None),
        ("", "  \n", None),
        ("#!/bin/sh\necho a\n", None, "#!/bin/sh\necho a\n"),
        ("#!/bin/sh\necho a", "echo b\n", full_userdata("#!/bin/sh\necho a", "echo b")),
        (None, "#cloud-config\npackages: [x]", "#cloud-config\npackages: [x]\n"),
    ],
    ids=["neither", "blank", "one", "both", "cloud-config"],
)
def test_full_userdata_joins_both_scripts_for_cloud_init(userdata, extra, full):
    config = NodeConfig(compute_requirement_template="demo/t", userdata=userdata, extra_userdata=extra)

    assert config.full_userdata == full
