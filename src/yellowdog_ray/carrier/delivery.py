"""Sends a kit to a new head over SSH: what `ray up` would send, from the files of the lost head."""

from __future__ import annotations

from pathlib import Path

from yellowdog_ray.credentials import Credentials
from yellowdog_ray.errors import SshError
from yellowdog_ray.node import kit
from yellowdog_ray.node.authentication import MODE_TOKEN
from yellowdog_ray.node.package import DEPENDENCIES, PACKAGES
from yellowdog_ray.redaction import hide
from yellowdog_ray.remote.head_files import Authentication, program
from yellowdog_ray.remote.package import encoded, own_package, pack, unpack_program
from yellowdog_ray.remote.ssh import UPLOAD_SECONDS, SshTarget, answers

_IS_COMPLETE = f"[ -f ~/{kit.KEY} ] && echo complete || echo missing"

_DEPENDENCIES = """\
mkdir -p ~/FOLDER
base64 -d <<'END_OF_DEPENDENCIES' | tar -xzf - -C ~/FOLDER
ARCHIVE
END_OF_DEPENDENCIES
"""


class SshDelivery:
    """Sends the kit in a directory to one head after the other.

    Args:
        folder: the kit.
        user: the user of the head's machine.
        credentials: those in the kit.
    """

    def __init__(self, folder: Path, user: str, credentials: Credentials) -> None:
        self._folder = folder
        self._user = user
        self._credentials = credentials
        self._target: SshTarget | None = None

    def reaches(self, address: str, node_id: str) -> bool:
        """Whether the host accepts the cluster's SSH key."""
        target = SshTarget(self._user, address, str(self._folder / kit.KEY), node_id)
        try:
            if not answers(address):
                return False
            target.run("true", timeout=20)
        except SshError:
            return False
        self._target = target
        return True

    def is_complete(self) -> bool:
        """Whether the host has the whole kit. Raises `SshError`."""
        return "complete" in self._run(_IS_COMPLETE).splitlines()

    def deliver(self) -> None:
        """Send the kit; its last file starts Ray. Raises `SshError`."""
        self._run("sh -s", self._program().encode(), UPLOAD_SECONDS)

    def _run(self, command: str, stdin: bytes = b"", seconds: float = 30.0) -> str:
        if self._target is None:
            raise SshError("the new head was not reached yet")
        return self._target.run(command, stdin, seconds)

    def _program(self) -> str:
        target = self._target
        token = (self._folder / kit.TOKEN).read_text().strip()
        hide(token)
        authentication = Authentication(MODE_TOKEN, target.node_id if target else "", token)
        files = [(kit.CONFIG, kit.CONFIG), (kit.JOBS, kit.HEAD_JOBS), (kit.KEY, kit.KEY)]
        parts = [_write(self._folder / name, remote) for name, remote in files if (self._folder / name).is_file()]
        package = unpack_program(own_package())
        clean = f"rm -f ~/{kit.HEAD_JOBS}\n"  # of an earlier cluster on this machine
        return "".join([program(self._credentials, authentication), package, self._dependencies(), clean, *parts])

    def _dependencies(self) -> str:
        folder = self._folder / kit.PACKAGE / DEPENDENCIES
        files = {file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*") if file.is_file()}
        if not files:
            return ""
        text = _DEPENDENCIES.replace("FOLDER", f"{PACKAGES}/{own_package().name}/{DEPENDENCIES}")
        return text.replace("ARCHIVE", encoded(pack(files)))


def _write(file: Path, remote: str) -> str:
    """A command that writes this file below the home, whatever bytes it has."""
    text = encoded(file.read_bytes())
    return f"base64 -d <<'END_OF_FILE' > ~/{remote}.new\n{text}\nEND_OF_FILE\nmv ~/{remote}.new ~/{remote}\n"
