"""Which texts can be a path of this machine. A leaf: it reads no file."""

from __future__ import annotations

import re

SECRET = re.compile(r"PRIVATE KEY|b3BlbnNzaC1rZXk")
"""What a private key's text contains: PEM's header, or the first characters of OpenSSH's format in base64."""

_PUBLIC = re.compile(r"\bAAAA[BCEI][0-9A-Za-z+/]{20}")
"""The type of a public key, with its length before it, in base64 (RFC 4253, 6.6)."""

_LONGEST_PATH = 4095
_LONGEST_NAME = 255
"""Bytes: Linux's PATH_MAX without its end, and NAME_MAX."""


def path_mistake(text: str) -> str | None:
    """Why a text cannot be a path, with what to do; None if it can. Never quotes the text: it may be a secret."""
    if SECRET.search(text) or _PUBLIC.search(text):
        return "give a path, not the key itself"
    if any(character in text for character in "\n\r\0"):
        return "give a path, not the text of a file: a path has no line break and no NUL"
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return "give a path that can be written in UTF-8"
    if len(data) > _LONGEST_PATH or any(len(name) > _LONGEST_NAME for name in data.split(b"/")):
        return (
            f"give a path: this text is longer than one can be ({_LONGEST_NAME} bytes a name, {_LONGEST_PATH:,} in all)"
        )
    return None
