"""Checks the options with which a platform is started, before anything starts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from yellowdog_local.hosts.kinds import Choice, HostKind, choose
from yellowdog_local.hosts.prerequisites import MissingRequirementError
from yellowdog_local.service.directory import LocalPlatformError

if TYPE_CHECKING:  # `raydog local status` must start quickly, and without the settings' packages
    from yellowdog_local.platform import LocalPlatform
    from yellowdog_local.service.seed_files import SeedFile
    from yellowdog_local.state.settings import Settings

REAL_TIME = 1.0
"""The speed of a platform's clock that real hosts need."""


def check_machine(requested: HostKind = HostKind.AUTO) -> Choice:
    """Check that this machine and installation can run the platform; the chosen kind of hosts.

    Args:
        requested: the requested kind of hosts.

    Raises:
        LocalPlatformError: something is missing; the message names the remedy.
    """
    try:
        return choose(requested)
    except MissingRequirementError as error:
        raise LocalPlatformError(str(error)) from error


def check_speed(speed: float, requested: HostKind) -> None:
    """Check the speed of the platform's clock.

    Args:
        speed: seconds of the platform's clock per second.
        requested: the requested kind of hosts; real hosts need speed 1.

    Raises:
        LocalPlatformError: the speed is invalid; the message names the remedy.
    """
    if not (math.isfinite(speed) and speed > 0):
        raise LocalPlatformError(f"--speed must be above 0, not {speed:g}: 100 lets a day pass in 15 minutes")
    if speed != REAL_TIME and requested is not HostKind.SIMULATED:
        raise LocalPlatformError("--speed needs --hosts simulated: real hosts run in real time")


@dataclass(frozen=True)
class Content:
    """The settings and the first resources of a platform.

    Attributes:
        settings: its settings.
        seed: what it contains from its start, beside the template `demo/local`.
    """

    settings: Settings
    seed: SeedFile | None

    def plant(self, platform: LocalPlatform) -> None:
        """Create the resources of the seed file.

        Raises:
            LocalPlatformError: the platform refuses one.
        """
        if self.seed is None:
            return
        try:
            self.seed.plant(platform)
        except ValueError as error:
            raise LocalPlatformError(f"--seed {error}") from error


def read_content(profile: Path | None, seed: Path | None) -> Content:
    """Read the files that a platform is made of.

    Args:
        profile: a JSON file of settings; without one they have their defaults.
        seed: a JSON or YAML file of resources.

    Raises:
        LocalPlatformError: a file cannot be read, or has an unknown name or an invalid value.
    """
    from yellowdog_local.state.profiles import ProfileError, load_profile
    from yellowdog_local.state.settings import Settings

    try:
        settings = Settings() if profile is None else load_profile(profile)
    except ProfileError as error:
        raise LocalPlatformError(f"--profile {error}") from error
    if seed is None:
        return Content(settings, None)
    from yellowdog_local.service.seed_files import SeedError, read_seed

    try:
        return Content(settings, read_seed(seed))
    except SeedError as error:
        raise LocalPlatformError(f"--seed {error}") from error
