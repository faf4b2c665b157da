"""The versions of Python and Ray on this machine and on the head: Ray requires exactly the same.

They are read over SSH before Ray starts there. A failed read has no consequence.
"""

from __future__ import annotations

import platform
import re
from dataclasses import dataclass
from importlib import metadata

from yellowdog_ray.config.ray_auth import agents_require_tokens, has_tokens, open_agents, without_tokens
from yellowdog_ray.errors import SshError
from yellowdog_ray.node.scripts import AGENT_HOME
from yellowdog_ray.remote.ssh import SshTarget

_PROGRAM = "import platform, importlib.metadata as m; print(platform.python_version(), m.version('ray'))"
_OUTPUT = re.compile(r"^(\d+\.\d+\.\d+\S*) (\d+\.\d+\.\d+\S*)$", re.MULTILINE)
_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Versions:
    """The versions on one machine."""

    python: str
    ray: str

    def __str__(self) -> str:
        return f"Python {self.python} and Ray {self.ray}"


def here() -> Versions:
    """The versions on this machine."""
    return Versions(platform.python_version(), metadata.version("ray"))


def on(target: SshTarget) -> Versions | None:
    """The versions on a host, in its agent's virtual environment: one SSH command. None if the command fails."""
    python = f'"$(ls -d "$HOME/venv" {AGENT_HOME}/venv 2>/dev/null | head -n 1)/bin/python"'
    try:
        output = target.run(f'{python} -c "{_PROGRAM}"', timeout=_TIMEOUT_SECONDS)
    except SshError:
        return None
    found = _OUTPUT.search(output)
    return Versions(found[1], found[2]) if found else None


def warnings(ours: Versions, theirs: Versions | None, *, needs_tokens: bool) -> list[str]:
    """What the user should know about the versions.

    Args:
        ours: those of this machine.
        theirs: those of the head, if they could be read.
        needs_tokens: whether the cluster is to have Ray's token authentication.
    """
    found = [difference(ours, theirs)]
    if needs_tokens and theirs is not None:
        found.append(_about_tokens(ours.ray, theirs.ray))
    return [warning for warning in found if warning is not None]


def difference(ours: Versions, theirs: Versions | None) -> str | None:
    """A warning if the two differ, or None."""
    if theirs is None or ours == theirs:
        return None
    return (
        f"this machine has {ours}, the head has {theirs}: Ray requires the same versions, and jobs from this machine "
        "may fail on the head. Install the head's versions here, or change its image"
    )


def _about_tokens(ours: str, theirs: str) -> str | None:
    subject = f"Ray {theirs} on the head"
    if not has_tokens(theirs):
        return without_tokens(subject)
    if agents_require_tokens(theirs) or ours == theirs:  # a warning about this machine's version comes earlier
        return None
    return open_agents(subject)
