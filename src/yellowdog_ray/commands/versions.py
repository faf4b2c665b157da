"""Python's and Ray's versions on this machine and on the head: Ray wants them the same, to the last digit.

Looked at over SSH before Ray starts there; a head that cannot tell is none the worse for it.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from importlib import metadata

from yellowdog_ray.errors import SshError
from yellowdog_ray.node.scripts import AGENT_HOME
from yellowdog_ray.remote.ssh import SshTarget

_QUESTION = "import platform, importlib.metadata as m; print(platform.python_version(), m.version('ray'))"
_ANSWER = re.compile(r"^(\d+\.\d+\.\d+\S*) (\d+\.\d+\.\d+\S*)$", re.MULTILINE)
_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Versions:
    """What one machine has."""

    python: str
    ray: str

    def __str__(self) -> str:
        return f"Python {self.python} and Ray {self.ray}"


def here() -> Versions:
    """This machine's."""
    return Versions(platform.python_version(), metadata.version("ray"))


def on(target: SshTarget) -> Versions | None:
    """A host's, by its agent's virtual environment: one SSH command. None if it cannot be asked."""
    python = f'"$(ls -d "$HOME/venv" {AGENT_HOME}/venv 2>/dev/null | head -n 1)/bin/python"'
    try:
        said = target.run(f'{python} -c "{_QUESTION}"', timeout=_TIMEOUT_SECONDS)
    except SshError:
        return None
    answer = _ANSWER.search(said)
    return Versions(answer[1], answer[2]) if answer else None


def difference(ours: Versions, theirs: Versions | None) -> str | None:
    """What to tell the user if the two are not the same."""
    if theirs is None or ours == theirs:
        return None
    return (
        f"this machine has {ours}, the head has {theirs}: Ray wants them the same, and what is sent from here may fail "
        "there in odd ways. Install the head's versions here, or change its image"
    )
