"""Fixtures for tests of commands against a platform in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from yellowdog_local.cli import main as cli
from yellowdog_local.service.directory import PlatformDirectory
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.testing import RunningPlatform, local_platform


@pytest.fixture
def place(tmp_path: Path) -> PlatformDirectory:
    made = PlatformDirectory(tmp_path / "place")
    made.prepare(with_ssh_key=False)
    return made


@pytest.fixture
def local(place: PlatformDirectory, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningPlatform]:
    with local_platform(clock=SteppedClock()) as running, place.locked():
        key = place.api_key()
        monkeypatch.setattr(running.platform, "api_key", (key.key_id, key.secret))
        place.write_state(running.url, "simulated", "as requested", ssh_user="")
        yield running


@pytest.fixture
def raydog(place: PlatformDirectory) -> Any:
    def run(*words: str) -> Result:
        return CliRunner().invoke(cli.app, [*words, "--dir", str(place.path)])

    return run
