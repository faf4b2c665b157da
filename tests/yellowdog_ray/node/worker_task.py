"""A worker's task that redeems its ticket, and a token service that answers as it is set up to."""

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from yellowdog_ray.node import variables
from yellowdog_ray.node.authentication import worker_script

TOKEN = "t" * 64
SHOW = f'#!/bin/bash\necho "path ${variables.AUTH_TOKEN_PATH}"; echo "ticket [${{{variables.TICKET}:-}}]"; env\n'


class Door:
    """Answers as it is set up to, and records the requests."""

    def __init__(self) -> None:
        self.answers: list[Mapping[str, str]] = []
        self.requests: list[Mapping[str, str]] = []
        self.addresses: list[str] = []

    def __call__(self, request: Mapping[str, str], address: str) -> Mapping[str, str]:
        self.requests.append(request)
        self.addresses.append(address)
        return self.answers.pop(0) if self.answers else {"token": TOKEN}


class Worker:
    """A worker's task in a home of its own."""

    def __init__(self, home: Path, port: int, fingerprint: str) -> None:
        self.home = home
        self.environment = {
            "PATH": os.environ["PATH"],
            variables.AGENT_HOME: str(home),
            variables.HEAD_IP: "127.0.0.1",
            variables.CLOUD_INSTANCE_ID: "worker-1",
            variables.TICKET: "the-ticket",
            variables.TOKEN_SERVICE: str(port),
            variables.TOKEN_FINGERPRINT: fingerprint,
        }

    @property
    def token(self) -> Path:
        return self.home / ".raydog/tokens/worker-1"

    def run(self, script: str = SHOW) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(script), env=self.environment, capture_output=True, text=True, timeout=30, check=False
        )

    def command(self, script: str = SHOW) -> list[str]:
        task = self.home / "taskdata.txt"
        task.write_text(worker_script(script))
        return ["bash", str(task)]
