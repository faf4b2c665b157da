"""The result of one check before anything is spent. A leaf."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """The result of a check. `ray up` refuses what has failed on this machine or in the YAML."""

    OK = "ok"
    FAILED = "failed"
    WARNING = "warning"
    UNCHECKED = "not checked"


@dataclass(frozen=True)
class Check:
    """One line of `raydog doctor`.

    Attributes:
        subject: what was checked, in a few words.
        state: the result.
        text: what was found; if something is wrong also what to do; if nothing was checked, why.
    """

    subject: str
    state: State
    text: str


def ok(subject: str, text: str) -> Check:
    """Nothing is wrong."""
    return Check(subject, State.OK, text)


def failed(subject: str, text: str) -> Check:
    """No cluster can run like this."""
    return Check(subject, State.FAILED, text)


def warning(subject: str, text: str) -> Check:
    """A cluster may run, and something will probably not work."""
    return Check(subject, State.WARNING, text)


def unchecked(subject: str, text: str) -> Check:
    """It was not checked."""
    return Check(subject, State.UNCHECKED, text)
