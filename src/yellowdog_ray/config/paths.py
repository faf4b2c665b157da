"""Tests whether a text can be a path of this machine. A leaf: it reads no file."""

from __future__ import annotations

import re

SECRET = re.compile(r"PRIVATE KEY|b3BlbnNzaC1rZXk")
"""A part of a private key's text: PEM's header, or the first characters of OpenSSH's format in base64."""

_PUBLIC = re.compile(r"\bAAAA[BCEI][0-9A-Za-z+/]{20}")
"""The type of a public key, with its length before it, in base64 (RFC 4253, 6.6)."""

NO_CONTROL_CHARACTERS = r"[^\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]*"
"""A text of one line without terminal codes, as a regular expression of Python and of JSON schema."""

_ONE_LINE = re.compile(NO_CONTROL_CHARACTERS)

LONGEST_PATH = 4095
_LONGEST_NAME = 255
"""Bytes: Linux's PATH_MAX without its end, and NAME_MAX."""


def path_mistake(text: str) -> str | None:
    """Why a text cannot be a path, with what to do; None if it can. Never quotes the text: it may be a secret."""
    if SECRET.search(text) or _PUBLIC.search(text):
        return "give a path, not the key itself"
    if not is_one_line(text):
        return "give a path, not the text of a file: a path has no line break and no control character"
    try:
        data = text.encode()
    except UnicodeEncodeError:
        return "give a path that can be written in UTF-8"
    if len(data) > LONGEST_PATH or any(len(name) > _LONGEST_NAME for name in data.split(b"/")):
        return (
            f"give a path: this text is longer than one can be ({_LONGEST_NAME} bytes a name, {LONGEST_PATH:,} in all)"
        )
    return None


def is_one_line(text: str) -> bool:
    """Whether a text has no line break and no control character, with which a message would be several lines."""
    return _ONE_LINE.fullmatch(text) is not None
