"""What a carrier's kit says of the cluster and of the head that it came from. Imports nothing of the platform."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta


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
