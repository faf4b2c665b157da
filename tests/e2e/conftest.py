import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from dotenv import dotenv_values

from tests.e2e.ray_cli import BIN, PlatformView

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="namespace hosts need root: run scripts/test, or use sudo")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(needs_root)


class Box:
    """A local platform with namespace hosts, started as a user would start it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env_file = folder / "platform.env"
        self.ssh_key = folder / "id_ed25519"

    def raydog(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(BIN / "raydog"), "local", *arguments, "--dir", str(self.folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
            check=False,
        )

    def view(self) -> PlatformView:
        values = dotenv_values(self.env_file)
        return PlatformView(str(values["YD_API_URL"]), str(values["YD_API_KEY_ID"]), str(values["YD_API_KEY_SECRET"]))


@pytest.fixture
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    box = Box(tmp_path_factory.mktemp("platform"))
    started = box.raydog("start", "--env-file", str(box.env_file))
    assert started.returncode == 0, started.stdout
    yield box
    stopped = box.raydog("stop")
    assert stopped.returncode == 0, stopped.stdout
    assert "nothing is left" in stopped.stdout.lower()
