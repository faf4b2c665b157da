import pytest

from yellowdog_ray.config.models import NodeConfig


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
def test_userdata_and_extra_userdata_make_one_script_that_cloud_init_runs(userdata, extra, full):
    config = NodeConfig(compute_requirement_template="demo/t", userdata=userdata, extra_userdata=extra)

    assert config.full_userdata == full
