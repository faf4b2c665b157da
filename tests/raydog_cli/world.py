"""The user's machine and account in which `raydog doctor` runs."""

import shutil
import socket
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.yellowdog_ray.ray_cli import complete
from yellowdog_local import faults
from yellowdog_local.testing import RunningPlatform


@dataclass
class World:
    """A user's machine with a good YAML, and an account in which it would run."""

    local: RunningPlatform
    config: dict[str, Any]
    home: Path
    patch: pytest.MonkeyPatch
    stack: ExitStack = field(default_factory=ExitStack)

    @property
    def worker(self) -> dict[str, Any]:
        found: dict[str, Any] = self.config["available_node_types"]["worker"]
        return found

    @property
    def node_config(self) -> dict[str, Any]:
        found: dict[str, Any] = self.worker["node_config"]
        return found

    def script(self, text: str, kind: str = "head") -> None:
        self.config["provider"][f"ray_{kind}_node_task_script"] = text

    def refuse(self, call: str) -> None:
        rule = faults.Status(call=call, status=403, error_type="MissingPermissionException", message="no")
        self.stack.enter_context(self.local.faults.during(rule))

    def programs(self, *names: str) -> None:
        """The only programs on this machine."""
        folder = self.home / "bin"
        folder.mkdir()
        for name in names:
            (folder / name).symlink_to(str(shutil.which(name)))
        self.patch.setenv("PATH", str(folder))

    def fake(self, name: str, script: str) -> None:
        """A program that comes before the real one."""
        file = self.home / "fakes" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        self.patch.setenv("PATH", str(file.parent), prepend=":")

    def write(self) -> str:
        (self.home / "cluster.yaml").write_text(yaml.safe_dump(complete(self.config)))
        return "cluster.yaml"


def free_port() -> int:
    with socket.socket() as trial:
        trial.bind(("127.0.0.1", 0))
        return int(trial.getsockname()[1])
