"""The package `yellowdog_ray` of this machine as an archive, and the shell program that unpacks it on the head.

The head needs `base64`, `gzip`, `sha256sum` and `tar`, and no index of packages.
"""

from __future__ import annotations

import base64
import functools
import gzip
import hashlib
import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import yellowdog_ray
from yellowdog_ray.node.package import CURRENT, PACKAGES, RUNNING

DISTRIBUTION = "yellowdog-ray"

RUNNING_MARK = "RayDog-runs "
"""A word before the content of `RUNNING`, in the output of the program."""

REFUSAL = "RayDog cannot be installed on the head"
"""The beginning of the program's message where the head cannot take the package."""

_MANIFEST = ".sha256"
_DIGEST_LENGTH = 12
_LINE_LENGTH = 76
_TIME = 1_577_836_800  # 2020-01-01, in every archive: equal packages have equal bytes

_PROGRAM = """\
fail() { echo "REFUSAL: $1" >&2; exit 1; }
for tool in base64 gzip sha256sum tar; do
  command -v "$tool" >/dev/null || fail "its image lacks $tool"
done
complete() {
  (cd "$1" && case "$(sha256sum <MANIFEST)" in DIGEST*) sha256sum -c MANIFEST ;; *) false ;; esac) >/dev/null 2>&1
}
package=~/PACKAGES/NAME
mkdir -p ~/PACKAGES
if ! complete "$package"; then
  new=$(mktemp -d ~/PACKAGES/new.XXXXXX)
  base64 -d <<'END_OF_PACKAGE' | tar -xzf - -C "$new" || fail "its archive cannot be unpacked; is the disk full?"
ARCHIVE
END_OF_PACKAGE
  complete "$new" || fail "its archive arrived damaged; is the disk full?"
  rm -rf "$package"
  mv -T "$new" "$package" 2>/dev/null || rm -rf "$new"  # another `ray up` was first
  complete "$package" || fail "$package is damaged, and cannot be replaced"
fi
ln -sfn NAME ~/CURRENT.new
mv -fT ~/CURRENT.new ~/CURRENT
echo "MARK$(cat ~/RUNNING 2>/dev/null)"
"""


@dataclass(frozen=True)
class Package:
    """A package as it is sent.

    Attributes:
        version: its version.
        digest: the first digits of the SHA-256 of its files.
        archive: a tar archive, compressed by gzip.
    """

    version: str
    digest: str
    archive: bytes = field(repr=False)

    @property
    def name(self) -> str:
        """The name of its directory on the head."""
        return f"{self.version}-{self.digest}"

    @property
    def label(self) -> str:
        """The version for people."""
        return f"{self.version} ({self.digest})"


@functools.cache
def own_package() -> Package:
    """The package of this process: its files as they are on the disk, without compiled ones."""
    root = Path(yellowdog_ray.__path__[0])
    found = {
        f"{root.name}/{file.relative_to(root).as_posix()}": file.read_bytes()
        for file in sorted(root.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }
    return make_package(yellowdog_ray.__version__, found)


def make_package(version: str, files: Mapping[str, bytes]) -> Package:
    """A package of these files, by name."""
    manifest = "".join(f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in files.items()).encode()
    digest = hashlib.sha256(manifest).hexdigest()[:_DIGEST_LENGTH]
    return Package(version, digest, pack({**files, _MANIFEST: manifest}))


def pack(files: Mapping[str, bytes], mode: int = 0o644) -> bytes:
    """Files of this mode, by name, as a compressed tar archive; equal files make equal archives."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.mode = len(content), _TIME, mode
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), compresslevel=6, mtime=0)


def unpack_program(package: Package) -> str:
    """The lines of a POSIX shell that unpack the package, make it current, and print the version that runs.

    They rely on `set -e`. A package that is there already, and complete, stays as it is: an autoscaler may run from it.
    """
    return (
        _PROGRAM.replace("NAME", package.name)
        .replace("DIGEST", package.digest)
        .replace("REFUSAL", REFUSAL)
        .replace("PACKAGES", PACKAGES)
        .replace("CURRENT", CURRENT)
        .replace("MANIFEST", _MANIFEST)
        .replace("RUNNING", RUNNING)
        .replace("MARK", RUNNING_MARK)
        .replace("ARCHIVE", encoded(package.archive))
    )


def encoded(archive: bytes) -> str:
    """An archive as lines of text for `base64 -d`."""
    text = base64.b64encode(archive).decode()
    return "\n".join(text[start : start + _LINE_LENGTH] for start in range(0, len(text), _LINE_LENGTH))


def running_version(output: str, head_id: str) -> str | None:
    """RayDog's version in the autoscaler that runs on this head; None if none runs, or an earlier RayDog does.

    Args:
        output: what the program has printed.
        head_id: the head's node id.
    """
    reports = [line.removeprefix(RUNNING_MARK) for line in output.splitlines() if line.startswith(RUNNING_MARK)]
    node_id, _, version = (reports[-1] if reports else "").partition(" ")
    return version if version and node_id == head_id else None


def upgrade_report(package: Package, running: str | None, *, restarts: bool, takes_package: bool = True) -> str | None:
    """The effect on a running autoscaler with another RayDog, for the user; None if it runs this one.

    Args:
        package: the package that was sent.
        running: the version that runs.
        restarts: whether this `ray up` may restart Ray on the head.
        takes_package: whether a RayDog that sends itself submitted the head's task.
    """
    if not takes_package:
        return "an earlier RayDog created this cluster: its autoscaler runs the RayDog of the image until `ray down`"
    if running in (None, package.label):
        return None
    when = "Ray starts again on the head" if restarts else "Ray starts again on the head, after `ray down` and `ray up`"
    return f"the autoscaler on the head runs RayDog {running}; it will run RayDog {package.label} when {when}"


def other_installations() -> list[str]:
    """Warnings about another version of the distribution in this environment than the code that runs."""
    others = {each.version for each in metadata.distributions(name=DISTRIBUTION)} - {yellowdog_ray.__version__}
    return [
        f"this environment has {DISTRIBUTION} {version} installed, and {yellowdog_ray.__version__} runs, from "
        f"{yellowdog_ray.__path__[0]}: the head gets the one that runs. To keep only that, run `pip uninstall "
        f"{DISTRIBUTION}` until none is left, and install it again"
        for version in sorted(others)
    ]
