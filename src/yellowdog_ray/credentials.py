"""The YellowDog API key: its sources, and its form in the head's file. Must not import `config` or `remote`.

Key and URL come from one source: a file that others wrote must not choose where a key of another source is sent.
"""

from __future__ import annotations

import os
import re
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from yellowdog_ray.errors import CredentialsError
from yellowdog_ray.node.variables import API_KEY_ID, API_KEY_SECRET, API_URL, ON_HEAD
from yellowdog_ray.redaction import PLACEHOLDER, hide

DEFAULT_URL = "https://api.yellowdog.ai"

HEAD_FILE = "~/.raydog/credentials"
"""The file on the head, mode 0600, that `ray up` writes over SSH."""

_NAMES = (API_KEY_ID, API_KEY_SECRET, API_URL)
_KEY = (API_KEY_ID, API_KEY_SECRET)
_USER_INFO = re.compile(r"(?<=//).*@")
_PLAIN = re.compile(r"[\w./:@%+=,~-]*", re.ASCII)
_UNSENDABLE = re.compile(r"^\s|\s$|[^\x20-\x7e\xa0-\xff]")  # `requests` sends no such header
_ENVIRONMENT = "the environment"


@dataclass(frozen=True)
class Credentials:
    """An application's key, and its platform's URL. The repr does not contain the secret."""

    url: str
    key_id: str
    key_secret: str = field(repr=False)

    def as_environment(self) -> dict[str, str]:
        """The environment variables that hold these credentials."""
        return {API_URL: self.url, API_KEY_ID: self.key_id, API_KEY_SECRET: self.key_secret}

    def as_dotenv(self) -> str:
        """The lines of a `.env` file that hold these credentials. A value that needs quotes has single quotes."""
        return "".join(f"{name}={_quoted(value)}\n" for name, value in self.as_environment().items())


@dataclass(frozen=True)
class _Source:
    """A place that may hold the key, with the values that it has."""

    place: str
    values: Mapping[str, str]

    @property
    def has_key(self) -> bool:
        """Whether it has any part of the key."""
        return any(name in self.values for name in _KEY)


def load_credentials() -> Credentials:
    """Find the key: in the environment, then in a `.env` from the working directory upwards, then in the head's file.

    A `.env` without any part of the key does not hide the next one above it. On the head, its file comes before any
    `.env`. The first source with a part of the key must have all of it.

    Raises:
        CredentialsError: the key is missing, incomplete or unusable, or the URL is in another source than the key.
    """
    source, others = _find()
    _check_complete(source)
    _check_one_url(source, _url_of(source), others)
    return _credentials_of(source)


def readable_key_file() -> Path | None:
    """The file that the key comes from, if other users may read it.

    Raises:
        CredentialsError: as `load_credentials`, for a file that cannot be used.
    """
    source, _ = _find()
    if not source.has_key or source.place == _ENVIRONMENT:
        return None
    file = Path(source.place)
    state = file.stat()
    readers = stat.S_IROTH if _is_own_group(file, state) else stat.S_IROTH | stat.S_IRGRP
    return file if state.st_mode & readers else None


def _find() -> tuple[_Source, list[_Source]]:
    """The source of the key, or the last one; and all that were read."""
    environment = _Source(_ENVIRONMENT, {name: os.environ[name] for name in _NAMES if os.environ.get(name)})
    head_file = Path(HEAD_FILE).expanduser()
    folder = Path.cwd()
    files = [place / ".env" for place in (folder, *folder.parents)]
    files = [head_file, *files] if os.environ.get(ON_HEAD) == "1" else [*files, head_file]
    source, others = environment, [environment]
    for file in files:
        if source.has_key:
            break
        if file.is_file():
            source = _read(file, literal=file == head_file)
            others.append(source)
    return source, others


def load_head_file(file: str | Path = HEAD_FILE) -> Credentials:
    """The key in the head's file, which another `ray up` may have written, or in a copy of that file.

    Raises:
        CredentialsError: the file has no key that can be used.
    """
    source = _read(Path(file).expanduser(), literal=True)
    _check_complete(source)
    return _credentials_of(source)


def _credentials_of(source: _Source) -> Credentials:
    found = Credentials(_url_of(source), source.values[API_KEY_ID], source.values[API_KEY_SECRET])
    hide(found.key_secret)
    check_values(found, source.place)
    return found


def _url_of(source: _Source) -> str:
    return source.values.get(API_URL, DEFAULT_URL).rstrip("/")


def _read(file: Path, *, literal: bool) -> _Source:
    """The values of a `.env`. In the head's file `${...}` is literal.

    Raises:
        CredentialsError: others may write the file and it has one of the values, or it cannot be read.
    """
    try:
        values = dotenv_values(file, interpolate=not literal, encoding="utf-8-sig")
        found = {name: value for name in _NAMES if (value := values.get(name))}
        if found:
            _check_owner(file)
    except OSError as error:
        raise CredentialsError(f"{file} cannot be read ({error.strerror}): make it readable for you") from error
    except UnicodeDecodeError as error:
        raise CredentialsError(f"{file} is not UTF-8 text: save it as UTF-8") from error
    return _Source(str(file), found)


def _check_owner(file: Path) -> None:
    state = file.stat()
    sudo_uid = os.environ.get("SUDO_UID", "")
    owners = {0, os.getuid(), int(sudo_uid) if sudo_uid.isdecimal() else 0}
    if state.st_uid not in owners:
        raise CredentialsError(f"{file} belongs to another user, who could choose where your key is sent: remove it")
    writers = stat.S_IWOTH if _is_own_group(file, state) else stat.S_IWOTH | stat.S_IWGRP
    if state.st_mode & writers:
        raise CredentialsError(f"other users may write {file}: run `chmod 600 {file}`, and check its lines")


def _is_own_group(file: Path, state: os.stat_result) -> bool:
    """Whether the group's bits of a file's mode stand for its owner alone."""
    return _is_private_group(state) and not _has_access_list(file)


def _has_access_list(file: Path) -> bool:
    """Whether a file has a POSIX access control list: then the group's bits of its mode stand for other users too."""
    if sys.platform != "linux":
        return False
    try:
        return "system.posix_acl_access" in os.listxattr(file)
    except OSError:  # the file system has no such lists
        return False


def _is_private_group(state: os.stat_result) -> bool:
    """Whether a file's group is its owner's own: Debian's and Red Hat's default, with a umask of 002."""
    import grp
    import pwd

    try:
        owner, group = pwd.getpwuid(state.st_uid), grp.getgrgid(state.st_gid)
    except KeyError:
        return False
    others = [user for user in pwd.getpwall() if user.pw_gid == state.st_gid and user.pw_uid != owner.pw_uid]
    return group.gr_name == owner.pw_name and set(group.gr_mem) <= {owner.pw_name} and not others


def _check_complete(source: _Source) -> None:
    missing = [name for name in _KEY if name not in source.values]
    if not missing:
        return
    if source.has_key:
        raise CredentialsError(
            f"{' and '.join(missing)} not set in {source.place}, which has the rest of the YellowDog API key. Put all "
            "of it into the environment, or all of it into a file .env"
        )
    raise CredentialsError(
        f"no YellowDog API key: {' and '.join(missing)} not set. Set them in the environment, or in a file .env in "
        f"{Path.cwd()} or a directory above it. `raydog local start` prints the lines for a local platform."
    )


def _check_one_url(source: _Source, url: str, others: list[_Source]) -> None:
    """Refuse another source whose URL differs from the one in use.

    A `.env` is not read when the environment has the key: its URL is ignored, whoever wrote it.
    """
    for other in others:
        stated = other.values.get(API_URL, url).rstrip("/")
        if stated != url:
            raise CredentialsError(
                f"the YellowDog API key is in {source.place}, and {other.place} has another {API_URL} "
                f"({_shown(stated)}): put key and URL into one place"
            )


def check_values(found: Credentials, place: str) -> None:
    """Refuse a key or URL with which no call can be made. The message does not contain the key.

    Args:
        found: the credentials.
        place: their source, for messages.

    Raises:
        CredentialsError: no HTTP header can have the key, or the URL is none.
    """
    for name, value in found.as_environment().items():
        bad = _UNSENDABLE.search(value)
        if bad:
            raise CredentialsError(
                f"{name} in {place} contains the character {bad.group()!r} (position {bad.start() + 1} of "
                f"{len(value)}), which no key or URL has: remove it"
            )
    try:
        parts = urlsplit(found.url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise CredentialsError(
            f"{API_URL} in {place} is '{_shown(found.url)}', which is no URL: give one like {DEFAULT_URL}"
        )
    if parts.username is not None or parts.password is not None:
        raise CredentialsError(
            f"{API_URL} in {place} is '{_shown(found.url)}', with a user or password, which YellowDog's API does not "
            "use: remove them, up to the @"
        )


def _shown(url: str) -> str:
    """A URL without the user and password in it."""
    return _USER_INFO.sub(f"{PLACEHOLDER}@", url)


def _quoted(value: str) -> str:
    """A value as python-dotenv reads it back; a shell reads all but those with `'` or a backslash too."""
    if _PLAIN.fullmatch(value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
