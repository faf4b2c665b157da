from __future__ import annotations

import math
from pathlib import Path

import pytest

from yellowdog_local.hosts.kinds import HostKind
from yellowdog_local.service import options
from yellowdog_local.service.directory import LocalPlatformError
from yellowdog_local.state.settings import Settings


@pytest.mark.parametrize("speed", [0, -1, math.inf, math.nan])
def test_invalid_speed_is_refused(speed: float) -> None:
    with pytest.raises(LocalPlatformError, match="--speed must be above 0"):
        options.check_speed(speed, HostKind.SIMULATED)


def test_speed_of_real_time_is_accepted_with_any_hosts() -> None:
    options.check_speed(100, HostKind.SIMULATED)
    options.check_speed(1.0, HostKind.AUTO)
    with pytest.raises(LocalPlatformError, match="--speed needs --hosts simulated"):
        options.check_speed(0.5, HostKind.AUTO)


def test_content_has_defaults_without_files() -> None:
    content = options.read_content(None, None)
    assert (content.settings, content.seed) == (Settings(), None)


@pytest.mark.parametrize(("profile", "seed", "option"), [("none", None, "--profile"), (None, "none", "--seed")])
def test_unreadable_file_is_refused_with_its_option(
    tmp_path: Path, profile: str | None, seed: str | None, option: str
) -> None:
    paths = [None if name is None else tmp_path / name for name in (profile, seed)]
    with pytest.raises(LocalPlatformError, match=f"^{option} "):
        options.read_content(*paths)
