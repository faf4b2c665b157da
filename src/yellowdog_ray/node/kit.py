"""The kit of a carrier: the head's own files, with which a worker replaces a lost head. Names and the manifest only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta

FOLDER = ".raydog/kit"
"""The kits on a worker, below the home directory: one directory for each task, named by its script's process."""

MANIFEST = "manifest.json"
CREDENTIALS = "credentials"
TOKEN = "auth_token"  # noqa: S105 - a file's name
CONFIG = "ray_bootstrap_config.yaml"
KEY = "ray_bootstrap_key.pem"
JOBS = "jobs.json"
PACKAGE = "package"
"""The files of a kit, and the directory with RayDog's package."""

CARRIERS = "carriers"
"""Beside them: the node ids of the workers that have the kit, one a line, in the order in which they act."""

RENEWED = "renewed"
"""The time of the last renewal, in seconds of `CLOCK_BOOTTIME`, which no step of the wall clock changes."""

OLD_SECONDS = 300
"""A kit that was last renewed before this time is not used: a slow transfer, its check, and `HEAD_LOST_SECONDS`."""

HEAD_JOBS = ".raydog/jobs.json"
"""The jobs of the lost head on the new one, below the home directory."""

MAX_CARRIERS = 3

MAX_BYTES = 32 * 2**20
"""The largest kit."""

MAX_JOBS_BYTES = 27 * 2**20
"""The largest `JOBS`: 20 MiB of uploaded files in base64, and the jobs' descriptions. The other files may leave less.
"""

NOTICE_SECONDS = 600.0
"""How long the platform may take to show that the head's machine was lost. The carriers' machines cost meanwhile."""

RANK_SECONDS = 60.0
"""Each carrier waits so long after the one before it, unless that one has ended."""


def carrier_seconds(build_timeout: timedelta) -> float:
    """The longest time of a carrier: two new heads, of which the first may be lost too."""
    return NOTICE_SECONDS + MAX_CARRIERS * RANK_SECONDS + 2 * build_timeout.total_seconds()


@dataclass(frozen=True)
class Manifest:
    """The cluster of a kit.

    Attributes:
        namespace: the cluster's namespace.
        requirement_id: the YellowDog id of its work requirement.
        head_task_id: the YellowDog id of the task of the head that made the kit.
        ssh_user: the user of the head's machine.
        build_timeout: how long a new head may take until it answers.
    """

    namespace: str
    requirement_id: str
    head_task_id: str
    ssh_user: str
    build_timeout: timedelta

    def as_json(self) -> bytes:
        """The manifest as a file."""
        return json.dumps({**asdict(self), "build_timeout": self.build_timeout.total_seconds()}).encode()


def read_manifest(text: bytes) -> Manifest:
    """The manifest in a file.

    Raises:
        ValueError: it is no manifest.
    """
    try:
        values: Mapping[str, object] = json.loads(text)
        return Manifest(
            **{name: str(values[name]) for name in ("namespace", "requirement_id", "head_task_id", "ssh_user")},
            build_timeout=timedelta(seconds=float(str(values["build_timeout"]))),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"no manifest of a kit: {error}") from error
