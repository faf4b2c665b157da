"""The autoscaler on the head runs the RayDog of the user's machine, whatever the head's image contains.

Each image is the machine's own, changed by user data on the host's own disk: one cluster per image. Code of RayDog that
comes from the image fails at once. So an image that contains no RayDog at all needs no cluster of its own.
"""

import re
import shutil
from pathlib import Path

import pytest
import yaml

import yellowdog_ray
from tests.e2e.conftest import REPOSITORY, Box
from tests.e2e.ray_cli import Ray
from yellowdog_ray.remote.package import own_package

JOB = REPOSITORY / "examples/local/two_workers.py"
PUBLISHED = REPOSITORY / ".venv-published"

# Only on an overlay: the machine's own environment must stay as it is.
_NO_RAYDOG = """\
#!/bin/bash
set -e
site=$(dirname "$(/opt/yellowdog/agent/venv/bin/python -c 'import ray; print(ray.__path__[0])')")
[ "$(stat -f -c %T "$site")" = overlayfs ]
rm -rf "$site"/*editable*yellowdog*.pth "$site"/raydog-checkout.pth "$site"/yellowdog_ray-*.dist-info
"""

OLDER = "an older RayDog without its requirements"
IMAGES = {
    OLDER: """\
cd "$site"
rm -rf yellowdog_client yellowdog_sdk-* cattr* isodate* python_dispatch-* pydispatch cancel_token-* cancel_token
rm -rf dotenv python_dotenv-* redis redis-*
mkdir -p "$site/yellowdog_ray/raydog"
echo '__version__ = "2.9"' >"$site/yellowdog_ray/__init__.py"
echo 'raise RuntimeError("the autoscaler runs the RayDog of the image")' >"$site/yellowdog_ray/raydog/autoscaler.py"
cp "$site/yellowdog_ray/raydog/autoscaler.py" "$site/yellowdog_ray/provider.py"
""",
    "the published package": f'cp -r {PUBLISHED}/lib/python3*/site-packages/yellowdog_ray* "$site"\n',
}
IN_THE_IMAGE = (
    """python -c 'import yellowdog_ray as m; print("the image has", getattr(m, "__version__", None), m.__path__)'"""
)


@pytest.fixture
def version() -> str:
    return "v2"


@pytest.mark.timeout(280)
@pytest.mark.parametrize(
    "image",
    [
        OLDER,
        pytest.param(
            "the published package",
            marks=pytest.mark.skipif(
                not PUBLISHED.is_dir(), reason="the published package is not installed: scripts/bench installs it"
            ),
        ),
    ],
)
def test_autoscaler_runs_the_raydog_of_the_users_machine(life: Ray, box: Box, tmp_path: Path, image: str) -> None:
    ray, sent = life, own_package()
    ray.yaml.write_text(with_image(ray.yaml.read_text(), _NO_RAYDOG + IMAGES[image]))

    up = ray("up", "-y")
    there = ray("exec", f"{IN_THE_IMAGE} 2>&1 || true")
    assert ("the image has 2.9 " if image == OLDER else "the image has") in there, there
    assert ("the head's image lacks cancel-token" in up) == (image == OLDER), up
    if image == OLDER:
        assert "met on 2 workers" in ray("submit", str(JOB))

    ray.env["PYTHONPATH"] = str(newer_raydog(tmp_path))
    again = ray("up", "-y")
    assert f"the autoscaler on the head runs RayDog {sent.label}; it will run RayDog {yellowdog_ray.__version__} (" in (
        " ".join(again.split())
    )

    log = ray("exec", "cat /tmp/ray/session_latest/logs/monitor.log")
    assert f"RayDog {sent.label}, from /opt/yellowdog/agent/.raydog/package/{sent.name}" in log, log
    assert not re.search("^(Traceback|Ray on the head runs without)", up + again + log, re.MULTILINE)
    ray("down", "-y")


def with_image(text: str, user_data: str) -> str:
    config = yaml.safe_load(text)
    for node_type in config["available_node_types"].values():
        node_type["node_config"]["userdata"] = user_data
    return yaml.safe_dump(config)


def newer_raydog(folder: Path) -> Path:
    """A directory for PYTHONPATH with a changed RayDog."""
    source = Path(yellowdog_ray.__path__[0])
    copy = folder / "newer/yellowdog_ray"
    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / "clock.py").open("a") as file:
        file.write("# newer\n")
    return copy.parent
