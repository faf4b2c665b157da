"""The distributions that RayDog needs on the head, and how those that its image lacks get there.

Those without compiled parts are copied from this machine; others come from the head's index of packages. Only
processes that import RayDog use them: users' programs on the head import the image's.
"""

from __future__ import annotations

import functools
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.versions import OnHead, agents_python
from yellowdog_ray.errors import HeadUnusable, SshError
from yellowdog_ray.node.package import DEPENDENCIES, PACKAGES
from yellowdog_ray.remote.package import Package, encoded, pack
from yellowdog_ray.remote.ssh import UPLOAD_SECONDS, SshTarget

REQUIREMENTS = (
    "yellowdog-sdk>=15.9",
    "pydantic>=2.7",
    "python-dotenv>=1.0",
    "redis>=5.0",
    "cryptography>=41.0",
)
"""Those of `pyproject.toml` but Ray: the installed metadata may be of another package, or missing."""

INDEX_SECONDS = 90.0
"""How long the head may take to install from its index: some 5 MB."""

_REMEDY = "let the image contain it (docs/nodes.md)"

_UNPACK = """\
set -e
umask 077
mkdir -p ~/FOLDER
base64 -d <<'END_OF_ARCHIVE' | tar -xzf - -C ~/FOLDER
ARCHIVE
END_OF_ARCHIVE
"""


@dataclass(frozen=True)
class Missing:
    """A distribution that the head lacks, or has in a version that RayDog cannot use.

    Attributes:
        name: its name on the index.
        version: the version on this machine.
        on_head: the version on the head, if any.
    """

    name: str
    version: str
    on_head: str | None = None

    def __str__(self) -> str:
        return f"{self.name} {self.version}" + (f" (the image has {self.on_head})" if self.on_head else "")


@functools.cache
def all_names() -> tuple[str, ...]:
    """The canonical names of RayDog's requirements and of theirs, as far as they are installed on this machine."""
    return tuple(_unmet(lambda *_: False))


def missing(on_head: OnHead | None) -> list[Missing]:
    """The distributions that the head lacks. One that it has in a fitting version is taken as complete.

    Args:
        on_head: what was read on the head; None if nothing could be read, which is taken as complete.
    """
    if on_head is None:
        return []
    theirs = on_head.distributions
    unmet = _unmet(lambda requirement, name: _fits(requirement, theirs.get(name)))
    found = [Missing(requirement.name, _installed(name), theirs.get(name)) for name, requirement in unmet.items()]
    return sorted(found, key=lambda each: each.name)


def _unmet(is_met: Callable[[Requirement, str], bool]) -> dict[str, Requirement]:
    """RayDog's requirements that are not met, and in turn those of each, by canonical name."""
    found: dict[str, Requirement] = {}
    todo = [Requirement(text) for text in REQUIREMENTS]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if name not in found and not is_met(requirement, name):
            found[name] = requirement
            todo += _requirements_of(name)
    return found


def _fits(requirement: Requirement, version: str | None) -> bool:
    if version is None:
        return False
    try:
        return requirement.specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return True


def _requirements_of(name: str) -> Iterator[Requirement]:
    """The requirements of an installed distribution in this Python, without its extras."""
    try:
        texts = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    for text in texts:
        requirement = Requirement(text)
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            yield requirement


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def folder_of(package: Package) -> str:
    """The directory of what `supply` gives the head, below its home."""
    return f"{PACKAGES}/{package.name}/{DEPENDENCIES}"


def supply(target: SshTarget, package: Package, lacking: list[Missing], progress: Progress) -> None:
    """Give the head what it lacks, beside RayDog's package.

    Args:
        target: the head.
        package: the package that was sent.
        lacking: what is missing; nothing is done if it is empty.
        progress: reports what is done.

    Raises:
        HeadUnusable: the index cannot be reached, or has no fitting distribution.
        SshError: the head could not be reached.
    """
    folder = folder_of(package)
    files = {each: files_of(each.name) for each in lacking}
    pure = [each for each in lacking if files[each]]
    compiled = [each for each in lacking if not files[each]]
    if pure:
        progress.report(f"the head's image lacks {_listed(pure)}: copied from this machine, for RayDog only")
        archive = pack({name: content for each in pure for name, content in files[each].items()})
        text = _UNPACK.replace("FOLDER", folder).replace("ARCHIVE", encoded(archive))
        target.run("sh -s", text.encode(), UPLOAD_SECONDS)
    if compiled:
        progress.report(f"the head's image lacks {_listed(compiled)}: installing from the head's package index")
        _install(target, folder, compiled)


def _listed(distributions: list[Missing]) -> str:
    return ", ".join(map(str, distributions))


def files_of(name: str) -> dict[str, bytes]:
    """The files of a pure distribution of this machine, by name; none if it has compiled parts, or is not installed."""
    try:
        distribution = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return {}
    paths = [path for path in distribution.files or [] if ".." not in path.parts and "__pycache__" not in path.parts]
    is_pure = "Root-Is-Purelib: true" in (distribution.read_text("WHEEL") or "")
    if not is_pure or any(path.suffix in {".so", ".pyd", ".dylib", ".pth"} for path in paths):
        return {}
    # The metadata come last: if the copy is interrupted, the next `ray up` finds the distribution missing.
    in_order = sorted(paths, key=lambda path: (path.parts[0].endswith(".dist-info"), path.as_posix()))
    return {path.as_posix(): path.read_binary() for path in in_order}


def _install(target: SshTarget, folder: str, distributions: list[Missing]) -> None:
    wanted = " ".join(
        shlex.quote(f"{each.name}=={each.version}" if each.version else each.name) for each in distributions
    )
    command = (
        f"timeout {INDEX_SECONDS:g} {agents_python()} -m pip install --quiet --disable-pip-version-check --no-input "
        f"--no-deps --retries 1 --timeout 10 --target ~/{folder} {wanted} >&2"
    )
    try:
        target.run(command, timeout=INDEX_SECONDS + 20)
    except SshError as error:
        reason = re.sub(r"\s+", " ", str(error))[-300:]
        raise HeadUnusable(
            f"the head's image lacks {_listed(distributions)}, which has compiled parts, and it could not be installed "
            f"from the head's package index: {_REMEDY}. pip reports: {reason}"
        ) from error
