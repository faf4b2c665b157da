"""Lines of OpenSSH's `authorized_keys`: whether one authorises a key, or why not (sshd(8), AUTHORIZED_KEYS). A leaf."""

from __future__ import annotations

import base64
import binascii
import re

_KIND = r"(?:ssh|ecdsa|sk)-[\w@.-]+"
_FLAGS = (
    "agent-forwarding|cert-authority|no-agent-forwarding|no-port-forwarding|no-pty|no-touch-required|no-user-rc|"
    "no-x11-forwarding|port-forwarding|pty|restrict|user-rc|verify-required|x11-forwarding"
)
_VALUES = "command|environment|expiry-time|from|permitlisten|permitopen|principals|tunnel"
_OPTION = rf"(?i:{_FLAGS}|(?:{_VALUES})=\"(?:\\.|[^\"\\])*\")"
_LINE = re.compile(rf"\s*(?:{_OPTION}(?:,{_OPTION})*\s+)?(?P<kind>{_KIND})\s+(?P<key>\S+)")
_ENDS_WITH_KIND = re.compile(rf"(?:^|\s)({_KIND})\s*$")


def kind_of(public: str) -> str | None:
    """The type that a public key in base64 states, such as `ssh-ed25519`; None if it cannot be read."""
    try:
        data = base64.b64decode(public, validate=True)
    except binascii.Error:
        return None
    kind = data[4 : 4 + int.from_bytes(data[:4], "big")].decode("latin-1")
    return kind if re.fullmatch(_KIND, kind) else None


def is_kind(text: str) -> bool:
    """Whether a text is the type of a key, such as `ssh-ed25519`."""
    return re.fullmatch(_KIND, text) is not None


def fault_of(text: str, public: str) -> str | None:
    """Why no line of a text authorises a key, as the rest of a sentence; None if one does.

    Args:
        text: the lines of `authorized_keys`.
        public: the public key in base64.
    """
    lines = text.split("\n")
    if any(_authorises(line, public) for line in lines):
        return None
    place = next((index for index, line in enumerate(lines) if public in line), None)
    if place is not None:
        return _fault_of_line(lines[place], lines[place - 1] if place else "", public)
    return "breaks the key into several lines" if public in "".join(text.split()) else "is another key"


def _authorises(line: str, public: str) -> bool:
    found = _LINE.match(line)
    return found is not None and found["key"] == public and kind_of(public) in (None, found["kind"])


def _fault_of_line(line: str, previous: str, public: str) -> str:
    before, _, after = line.partition(public)
    kind = _ENDS_WITH_KIND.search(before)
    if re.search(r"\sAAAA\S", f" {before}"):
        return "has two keys in one line"
    if (after.strip() == after and after) or before[-1:].strip():
        return "has characters directly beside the key"
    if not before.strip() and _ENDS_WITH_KIND.search(previous):
        return "breaks the line after the key's type"
    if kind is None:
        return f"lacks the key's type ({kind_of(public) or 'such as ssh-ed25519'})"
    if kind_of(public) not in (None, kind[1]):
        return f"has the type {kind[1]} for a key of the type {kind_of(public)}"
    return "begins with what is no option of authorized_keys"
