import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from dotenv import dotenv_values

from tests.e2e.ray_cli import BIN, PlatformView, Ray
from tests.programs import run_program

REPOSITORY = Path(__file__).parents[2]
HERE = Path(__file__).parent
YAMLS = {
    "v2": REPOSITORY / "examples/local/raydog.yaml",
    "v1": HERE / "existing_user.yaml",
    "mixed": HERE / "node_types.yaml",
}

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespace hosts need root: run scripts/test, or use sudo")


ORDER = (
    "torn_down[v2]",
    "secret_in_a_process[environ]",
    "torn_down[v1]",
    "secret_in_a_process[cmdline]",
    "test_examples.py",
    "test_head_restart",
    "test_many_node_types",
    "test_faulty_platform",
    "test_containers",
    "test_package",
)
"""Parts of the tests' names: long tests begin first, and three run at a time.

At the beginning xdist gives each process two tests, which no other process can take over. So a short test follows
each of the longest three. The others follow by their length.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=_order)
    for item in items:
        if _is_here(item):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(needs_root)


def _is_here(item: pytest.Item) -> bool:
    return HERE in item.path.parents


def _order(item: pytest.Item) -> int:
    """Tests of other folders keep their order, before these."""
    if not _is_here(item):
        return -1
    return next((rank for rank, part in enumerate(ORDER) if part in item.nodeid), len(ORDER))


class Box:
    """A local platform with namespace hosts, started as a user would start it."""

    def __init__(self, folder: Path, programs: Path = BIN) -> None:
        self.folder = folder
        self.bin = programs
        self.env_file = folder / "platform.env"
        self.ssh_key = folder / "id_ed25519"

    def raydog(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.bin / "raydog"), "local", *arguments, "--dir", str(self.folder)]
        return run_program(command, seconds=120)

    def view(self) -> PlatformView:
        values = dotenv_values(self.env_file)
        return PlatformView(str(values["YD_API_URL"]), str(values["YD_API_KEY_ID"]), str(values["YD_API_KEY_SECRET"]))


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    with running_box(tmp_path_factory.mktemp("platform")) as box:
        yield box


@contextmanager
def running_box(folder: Path, programs: Path = BIN) -> Iterator[Box]:
    """A local platform in this folder; nothing is left of it at the end.

    Its hosts have the Python environment of these programs.
    """
    box = Box(folder, programs)
    started = box.raydog("start", "--env-file", str(box.env_file))
    assert started.returncode == 0, started.stdout
    try:
        yield box
    finally:
        stopped = box.raydog("stop")
    assert stopped.returncode == 0, stopped.stdout
    assert "nothing is left" in stopped.stdout.lower()


def as_user(folder: Path, box: Box, text: str, version: str) -> Ray:
    """A folder as a user would have it: the YAML, and the key in a .env beside it."""
    text = text.replace("SSH_KEY", str(box.ssh_key)).replace("~/.raydog/local/id_ed25519", str(box.ssh_key))
    yaml = folder / "cluster.yaml"
    yaml.write_text(text)
    (folder / ".env").write_text(box.env_file.read_text())
    (folder / "cache").mkdir()
    env = {name: value for name, value in os.environ.items() if not name.startswith(("YD_", "RAY_"))}
    env |= {"HOME": str(folder), "TMPDIR": str(folder / "cache"), "RAY_USAGE_STATS_ENABLED": "0", "COLUMNS": "200"}
    if version == "v1":
        env["RAY_UP_enable_autoscaler_v2"] = "0"
    return Ray(yaml, env, box.bin)


@pytest.fixture
def life(box: Box, tmp_path: Path, version: str) -> Ray:
    """A user with the YAML of this autoscaler's version."""
    return as_user(tmp_path, box, YAMLS[version].read_text(), version)
