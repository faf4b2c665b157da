"""Texts that are neither a script nor data for cloud-init: keys, paths, addresses, encoded data. No I/O, no state.

Imports only `mistakes` and `userdata` of RayDog.
"""

from __future__ import annotations

import base64
import binascii
import re

from yellowdog_ray.config.mistakes import shown
from yellowdog_ray.config.userdata import has_format

GZIP = b"\x1f\x8b"
"""The first bytes of compressed data (RFC 1952)."""

_ARCHIVES = ("PK\x03\x04", "\x7fELF")
_UTF_16 = 3
"""The number of NUL characters, every second one, by which the beginning of a text in UTF-16 is known."""

_KEY = re.compile(r"-----BEGIN |PuTTY-User-Key-File|b3BlbnNzaC1rZXk|(ssh|ecdsa|sk)-\S+ AAAA")
_KEY_INSIDE = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s+(?=[A-Za-z0-9+/])(?!\S*[$<])")
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_ADDRESSES_TO_DOWNLOAD = ("http://", "https://")
_PLACEHOLDER = re.compile(r"<[^<>\n]+>|\{\{[^{}\n]+\}\}")
_VARIABLE = re.compile(rf"{_PLACEHOLDER.pattern}|\$(\w+|\{{\w+\}})")
_BASE64 = re.compile(r"[A-Za-z0-9+/]{16,}={0,2}")


def script_mistake(text: str, *, is_userdata: bool) -> str | None:
    """Why a text cannot be a script or, as user data, cloud-init's, with the remedy. Never quotes a key."""
    if "\0" in text:
        return _mistake_of_binary(text)
    begin = text.lstrip()
    if _KEY.match(begin):
        return "its text is a key or a certificate: give a script, or the file of one (`file:<path>`)"
    named = begin.removeprefix("file:")
    if is_address(named):
        return _address_mistake(named, is_userdata=is_userdata)
    if (_VARIABLE if is_userdata else _PLACEHOLDER).fullmatch(begin.rstrip()):
        return (
            f"it is {shown(begin.rstrip())}, a variable or a placeholder, which RayDog does not replace: write a script"
        )
    if begin.startswith("file:"):
        return f"its text is {shown(begin.strip())}, a path: write the path of the script itself after `file:`"
    if encoding := _encoding(text):
        return f"its text is {encoding}, which RayDog passes on as it is: give the decoded text"
    if not is_userdata and begin.lower().startswith("#cloud-config"):
        return "YellowDog's task type `bash` runs it in bash: write a script, and cloud-init data in userdata"
    return None


def _mistake_of_binary(text: str) -> str:
    """Why a text with NUL characters is no script."""
    if text.startswith(_ARCHIVES):
        return "it is an archive or a program: give a script that unpacks or runs it"
    if "\0" * _UTF_16 in (text[: 2 * _UTF_16 : 2], text[1 : 2 * _UTF_16 : 2]):
        return "it contains NUL characters, as a text in UTF-16 does: save it as UTF-8"
    return "it contains a NUL character, which no script can contain: remove it"


def is_address(text: str) -> bool:
    """Whether a text begins with a line that is an address, such as `https://example.com/setup.sh`."""
    return _ADDRESS.fullmatch(text.strip().split("\n", 1)[0].strip()) is not None


def _address_mistake(text: str, *, is_userdata: bool) -> str:
    address = text.strip().split("\n", 1)[0].strip()
    if not address.lower().startswith(_ADDRESSES_TO_DOWNLOAD):
        how = "let a script download it"
    elif is_userdata:
        how = "let cloud-init download it, by the line `#include` before the address"
    else:
        how = "let a script of two lines, `#!/bin/bash` and `curl -fsSL ADDRESS | bash`, download it"
    return (
        f"it is {shown(address)}, an address, and RayDog downloads nothing: {how}, or save it and write `file:<path>`"
    )


def has_private_key(text: str) -> bool:
    """Whether a script contains the text of a private key."""
    return _KEY_INSIDE.search(text) is not None


def _encoding(text: str) -> str | None:
    if text.startswith(GZIP.decode("latin-1")):
        return "compressed (gzip)"
    joined = "".join(text.split("\n"))
    if not _BASE64.fullmatch(joined):
        return None
    try:
        data = base64.b64decode(joined, validate=True)
        decoded = data.decode()
    except binascii.Error:
        return None
    except UnicodeDecodeError:
        return "compressed (gzip) and in base64" if data.startswith(GZIP) else None
    is_text = has_format(decoded) or "\n" in decoded
    return "in base64" if is_text and all(map(_is_printable, decoded)) else None


def _is_printable(character: str) -> bool:
    return character.isprintable() or character in "\t\r\n"
