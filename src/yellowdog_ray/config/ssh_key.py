"""Check that the private key of `auth` can be used, before a machine is paid for. Runs no OpenSSH."""

from __future__ import annotations

import base64
import binascii
import os
import stat
import struct
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from yellowdog_ray.config.local_files import absolute, check_path, no_file
from yellowdog_ray.errors import ConfigError

_KEY = "auth.ssh_private_key"
_HEADER = "PRIVATE KEY-----"
_PUBLIC = ("ssh-", "ecdsa-", "sk-", "---- BEGIN SSH2 PUBLIC KEY", "-----BEGIN PUBLIC KEY")
_ENCRYPTED_PEM = ("BEGIN ENCRYPTED PRIVATE KEY", "Proc-Type: 4,ENCRYPTED")
_OPENSSH = "BEGIN OPENSSH PRIVATE KEY"
_MAGIC = b"openssh-key-v1\0"  # OpenSSH's PROTOCOL.key
_NO_CIPHER = b"none"
_SECURITY_KEY = b"sk-"  # OpenSSH's PROTOCOL.u2f
_OPENSSH_SECONDS = 5.0
_UNUSABLE = {
    "%": "OpenSSH replaces",
    "${": "OpenSSH replaces",
    "'": "rsync, with which Ray uploads, misreads",
    '"': "rsync, with which Ray uploads, misreads",
}
"""Texts that a key's path must not contain, each with the reason.

Ray passes the path to rsync within one text, rsync's `--rsh`.
"""


_MAX_KEY_BYTES = 1_000_000
"""Bytes of a key's file that are read; OpenSSH's own limit is as many (`MAX_KEY_FILE_SIZE` in authfile.h)."""


def use_in_cluster(provider: Mapping[str, Any], *, sets_up_workers: bool) -> str:
    """The machines of the cluster that log in with the key, as a clause of messages; empty if none does.

    Args:
        provider: the section of the YAML, without wrong values.
        sets_up_workers: whether Ray's updaters set up workers over SSH.
    """
    if str(provider.get("head_restart")).lower() == "true":
        return "with provider.head_restart workers log in to a new head with it"
    return "the head sets workers up with it" if sets_up_workers else ""


def check_key(name: str, source: str, folders: Sequence[Path], *, in_cluster: str = "") -> str | None:
    """Refuse a key that OpenSSH would not use.

    Args:
        name: the key's path as the YAML has it.
        source: the YAML's name, for messages.
        folders: the directories of relative paths, in the order of search.
        in_cluster: the use of the key on machines of the cluster (`use_in_cluster`), where there is no agent.

    Returns:
        The key's public half in base64; None if it is unknown.

    Raises:
        ConfigError: the key cannot be used.
    """
    check_path(name, source, _KEY)
    path = Path(absolute(name, folders))  # Ray copies the file to the head, and a link as a link
    text = _read(path, name, source, folders)
    _check_characters(str(path), source)
    if text.lstrip().startswith(_PUBLIC):
        raise ConfigError(
            f"{source}: {_KEY}: {path} is a public key: name the private key, usually the same path without `.pub`"
        )
    if _HEADER not in text:
        raise ConfigError(
            f"{source}: {_KEY}: {path} is no private key that OpenSSH can read: name a key made by `ssh-keygen`"
        )
    if _OPENSSH in text and not _is_whole(text):
        raise ConfigError(
            f"{source}: {_KEY}: {path} is damaged: OpenSSH reads a key only if its first and last line are complete, "
            "and end with a line feed alone. A copied key often lacks the last one"
        )
    _check_permissions(path, source)
    encrypted, public = _cipher(path, text)
    if in_cluster and (encrypted or _is_on_device(public)):
        need = "a passphrase" if encrypted else "a device that holds its secret (FIDO)"
        raise ConfigError(
            f"{source}: {_KEY}: {path} has {need}, and {in_cluster}: name a key without, such as one of `ssh-keygen "
            "-t ed25519`"
        )
    if not encrypted:
        return _check_contents(path, source)
    _check_agent(path, public, source)
    return public


def _check_characters(path: str, source: str) -> None:
    for characters, effect in _UNUSABLE.items():
        if characters in path:
            raise ConfigError(
                f"{source}: {_KEY}: {effect} the `{characters}` in {path}: move the key to a path without "
                f"`{characters}`, and name that"
            )


def _is_whole(text: str) -> bool:
    """Whether OpenSSH finds a key's beginning and end (`sshkey_parse_private2` in sshkey.c)."""
    return text.startswith(f"-----{_OPENSSH}-----\n") and "\n-----END OPENSSH PRIVATE KEY-----\n" in text


def _read(path: Path, name: str, source: str, folders: Sequence[Path]) -> str:
    if not os.path.isfile(path):  # noqa: PTH113 - `Path.is_file` raises for some paths
        raise ConfigError(
            f"{source}: {_KEY}: {no_file(name, folders)}: correct the path, or create a key with `ssh-keygen` and "
            "install its public half on the head's image"
        )
    try:
        with path.open("rb") as file:
            return file.read(_MAX_KEY_BYTES).decode("utf-8", errors="replace")
    except OSError as error:
        raise ConfigError(
            f"{source}: {_KEY}: cannot read {path} ({error.strerror}): make it readable for you"
        ) from error


def _check_permissions(path: Path, source: str) -> None:
    """OpenSSH's own rule (`sshkey_perm_ok` in authfile.c): it concerns the owner's keys only."""
    state = path.stat()
    if state.st_uid == os.getuid() and stat.S_IMODE(state.st_mode) & 0o077:
        raise ConfigError(
            f"{source}: {_KEY}: other users may read {path}, so OpenSSH does not use it: run `chmod 600 {path}`"
        )


def _check_contents(path: Path, source: str) -> str | None:
    """Let OpenSSH read a key that has no passphrase. Without its `ssh-keygen`, nothing is checked.

    Returns:
        The key's public half in base64; None if it is unknown.
    """
    command = ["ssh-keygen", "-y", "-P", "", "-f", str(path)]
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_OPENSSH_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if result.returncode != 0:
        reason = (result.stderr.strip().splitlines() or ["no reason given"])[-1].rpartition(": ")[2]
        raise ConfigError(
            f"{source}: {_KEY}: OpenSSH cannot read {path} ({reason}): copy the key again, or create another with "
            "`ssh-keygen`"
        )
    return next(iter(result.stdout.split()[1:]), None)


def _is_on_device(public: str | None) -> bool:
    return base64.b64decode(public or "")[4:].startswith(_SECURITY_KEY)


def _check_agent(path: Path, public: str | None, source: str) -> None:
    """Refuse a key whose passphrase nobody can give."""
    if public is None or public not in _agent_keys():
        raise ConfigError(
            f"{source}: {_KEY}: {path} has a passphrase, and no ssh-agent holds it: run `ssh-add {path}`, or name a "
            "key without a passphrase"
        )


def _cipher(path: Path, text: str) -> tuple[bool, str | None]:
    """Whether the key has a passphrase, and its public half in base64 as far as it can be read."""
    if _OPENSSH in text:
        body = "".join(line for line in text.splitlines() if not line.startswith("-"))
        return _openssh_cipher(body)
    if not any(mark in text for mark in _ENCRYPTED_PEM):
        return False, None
    try:
        return True, path.with_name(f"{path.name}.pub").read_text().split()[1]
    except (OSError, UnicodeDecodeError, IndexError):
        return True, None


def _openssh_cipher(body: str) -> tuple[bool, str | None]:
    """As `_cipher`: cipher, key derivation, its options, the number of keys, the public key."""
    try:
        rest = base64.b64decode(body).removeprefix(_MAGIC)
        cipher, rest = _field(rest)
        for _ in range(2):
            _, rest = _field(rest)
        public, _ = _field(rest[4:])
    except (binascii.Error, struct.error, ValueError):
        return False, None  # OpenSSH reports what is wrong with it
    return cipher != _NO_CIPHER, base64.b64encode(public).decode()


def _field(data: bytes) -> tuple[bytes, bytes]:
    """A field with its length before it, and the rest."""
    (length,) = struct.unpack(">I", data[:4])
    return data[4 : 4 + length], data[4 + length :]


def _agent_keys() -> set[str]:
    """The public keys, in base64, of the keys that the user's agent holds."""
    if not os.environ.get("SSH_AUTH_SOCK"):
        return set()
    try:
        listed = subprocess.run(
            ["ssh-add", "-L"], capture_output=True, text=True, timeout=_OPENSSH_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return set()
    return {fields[1] for fields in map(str.split, listed.splitlines()) if len(fields) > 1}
