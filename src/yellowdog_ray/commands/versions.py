"""The versions of Python, Ray and RayDog on this machine and on the head: Ray requires exactly the same, of two.

They are read over SSH before Ray starts there, with those of the distributions that RayDog needs. A failed read has no
consequence.
"""

from __future__ import annotations

import platform
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata

from yellowdog_ray.config.ray_auth import open_agents, without_tokens
from yellowdog_ray.errors import HeadUnusable, SshError
from yellowdog_ray.node.ray_versions import agents_require_tokens, has_tokens
from yellowdog_ray.node.scripts import AGENT_HOME
from yellowdog_ray.node.variables import PYTHON_PATH
from yellowdog_ray.remote.ssh import SshTarget

OLDEST_PYTHON = (3, 10)
"""The oldest Python that RayDog runs with, major and minor: `requires-python` of pyproject.toml."""

_DISTRIBUTION = "yellowdog-ray"
_TOKEN_SERVICE = "yellowdog_ray.monitor.token_service"  # noqa: S105 - a module
_CLOSED_AGENT = "yellowdog_ray.node.closed_agent"
_NONE = "none"

# The modules show what a RayDog can do: versions under development have one number.
_PROGRAM = f"""
import importlib.metadata, importlib.util, platform, sys
def version(name):
    try: return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError: return '{_NONE}'
def has(name):
    try: return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError: return False
modules = [name for name in ('{_TOKEN_SERVICE}', '{_CLOSED_AGENT}') if has(name)]
print(platform.python_version(), version('ray'), version('{_DISTRIBUTION}'), *modules)
for name in sys.argv[1:]: print('RayDog-needs', name, version(name))
"""
_OUTPUT = re.compile(r"^(\d+\.\d+\.\d+\S*) (\d+\.\d+\.\d+\S*) (\S+)((?: yellowdog_ray\.\S+)*)$", re.MULTILINE)
_NEEDED = re.compile(r"^RayDog-needs (\S+) (\S+)$", re.MULTILINE)
_TIMEOUT_SECONDS = 20.0


@dataclass(frozen=True)
class Versions:
    """The versions on one machine, of which Ray requires the same everywhere."""

    python: str
    ray: str

    def __str__(self) -> str:
        return f"Python {self.python} and Ray {self.ray}"


@dataclass(frozen=True)
class OnHead:
    """The distributions on the head, in its agent's virtual environment.

    Attributes:
        versions: those of Python and Ray.
        raydog: RayDog's version; None without RayDog, which may be in a container.
        has_token_service: whether its RayDog can give workers the cluster's token.
        closes_agents: whether its RayDog closes the dashboard agents of Ray 2.52 and 2.53.
        distributions: versions of other distributions, by canonical name.
    """

    versions: Versions
    raydog: str | None
    has_token_service: bool = True
    closes_agents: bool = True
    distributions: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


def here() -> Versions:
    """The versions on this machine."""
    return Versions(platform.python_version(), metadata.version("ray"))


def agents_python() -> str:
    """The Python of the agent's virtual environment on a host, as a word for its shell."""
    return f'"$(ls -d "$HOME/venv" {AGENT_HOME}/venv 2>/dev/null | head -n 1)/bin/python"'


def on(target: SshTarget, names: Sequence[str] = (), extra_path: str = "") -> OnHead | None:
    """The distributions on a host, in its agent's virtual environment: one SSH command. None if the command fails.

    Args:
        target: the host.
        names: canonical names of the distributions to look for.
        extra_path: a directory below the home with further distributions, if any.
    """
    path = f'{PYTHON_PATH}="$HOME/{extra_path}:${PYTHON_PATH}" ' if extra_path else ""
    try:
        output = target.run(f'{path}{agents_python()} -c "{_PROGRAM}" {shlex.join(names)}', timeout=_TIMEOUT_SECONDS)
    except SshError:
        return None
    found = _OUTPUT.search(output)
    if found is None:
        return None
    modules = found[4].split()
    raydog = None if found[3] == _NONE else found[3]
    distributions = {name: version for name, version in _NEEDED.findall(output) if version != _NONE}
    return OnHead(
        Versions(found[1], found[2]), raydog, _TOKEN_SERVICE in modules, _CLOSED_AGENT in modules, distributions
    )


def require_python(theirs: OnHead | None) -> None:
    """Refuse a head whose Python is too old for RayDog.

    Raises:
        HeadUnusable: it is.
    """
    if theirs is None or tuple(map(int, theirs.versions.python.split(".")[:2])) >= OLDEST_PYTHON:
        return
    oldest = ".".join(map(str, OLDEST_PYTHON))
    raise HeadUnusable(
        f"the head has Python {theirs.versions.python}, and RayDog, which `ray up` sends there, needs {oldest} or "
        "later: use an image with the Python of this machine (docs/nodes.md)"
    )


def refusal(theirs: OnHead | None, *, needs_tokens: bool) -> str | None:
    """Why workers could never join, or None: an older RayDog on the head launches them without tickets.

    It matters on a head whose task does not take the package that `ray up` sends.

    Args:
        theirs: what the head has, if it could be read.
        needs_tokens: whether the cluster is to have Ray's token authentication.
    """
    if theirs is None or theirs.raydog is None or theirs.has_token_service:
        return None
    if not needs_tokens or not has_tokens(theirs.versions.ray):
        return None
    ours = metadata.version(_DISTRIBUTION)
    return (
        f"the head has RayDog {theirs.raydog}, which gives workers no token of Ray's (`ray_auth`), so that none could "
        f"join; this machine has RayDog {ours}. Install this machine's RayDog in the head's image, or write "
        "`ray_auth: none` under provider"
    )


def warnings(ours: Versions, theirs: OnHead | None, *, needs_tokens: bool) -> list[str]:
    """The warnings about the versions, for the user.

    Args:
        ours: those of this machine.
        theirs: what the head has, if it could be read.
        needs_tokens: whether the cluster is to have Ray's token authentication.
    """
    found = [difference(ours, theirs.versions if theirs else None)]
    if needs_tokens:
        found.append(_about_tokens(ours, theirs))
    return [warning for warning in found if warning is not None]


def difference(ours: Versions, theirs: Versions | None) -> str | None:
    """A warning if the two differ, or None."""
    if theirs is None or ours == theirs:
        return None
    return (
        f"this machine has {ours}, the head has {theirs}: Ray requires the same versions, and jobs from this machine "
        "may fail on the head. Install the head's versions here, or change its image"
    )


def _about_tokens(ours: Versions, theirs: OnHead | None) -> str | None:
    """A warning about the head's Ray; where it could not be read, it is expected to be this machine's."""
    ray = theirs.versions.ray if theirs else ours.ray
    subject = f"Ray {ray} on the head"
    if not has_tokens(ray):
        return without_tokens(subject)
    is_closed = agents_require_tokens(ray) or (theirs is not None and theirs.closes_agents)
    return None if is_closed else open_agents(subject)
