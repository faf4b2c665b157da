"""Answers that leave open whether a call was applied, and some that only look so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from types import SimpleNamespace

import pytest

from tests.autoscaler.wire import Wire
from yellowdog_local import faults
from yellowdog_local.faults.rules import CallFault
from yellowdog_local.testing import RunningPlatform

READ_TIMEOUT = timedelta(seconds=0.5)
"""Real time: how long a call that hangs is waited for. Long enough for every other call on a busy machine."""


@dataclass(frozen=True)
class Ambiguity:
    """One way in which a creating call may go wrong, once.

    Attributes:
        name: for people.
        fault: makes the rule of the platform for a call; None where the answer is garbled on its way.
        retried: whether the SDK sends the call again by itself; otherwise the provider hears of the failure.
    """

    name: str
    fault: Callable[[str], CallFault] | None
    retried: bool

    def __str__(self) -> str:
        return self.name

    def prepare(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Set the SDK's clients that are made from now on so; its waits between two tries take no time."""
        monkeypatch.setattr("yellowdog_ray.platform.READ_TIMEOUT", READ_TIMEOUT)
        monkeypatch.setattr("urllib3.util.retry.time", SimpleNamespace(sleep=lambda seconds: None))
        if not self.retried:
            monkeypatch.setattr("yellowdog_ray.platform.ATTEMPTS", 0)

    @contextmanager
    def striking(self, local: RunningPlatform, wire: Wire, call: str) -> Iterator[None]:
        """Let the next call of this pattern go wrong so."""
        if self.fault is not None:
            with local.faults.during(self.fault(call)) as (rule,):
                yield
                assert local.faults.struck(rule) == 1, f"{call} was never struck"
            return
        left = [1]

        def once(made: str) -> bool:
            strikes = bool(left) and fnmatchcase(made, call)
            return strikes and bool(left.pop())

        with wire.garbling(once):
            yield
        assert not left, f"{call} was never struck"


def _all() -> Iterator[Ambiguity]:
    answered: dict[str, Callable[[str], CallFault]] = {
        "applied, then 500": lambda call: faults.ApplyThenFail(call=call, times=1),
        "refused with 500": lambda call: faults.Status(call=call, times=1, status=500),
        "throttled": lambda call: faults.Status(call=call, times=1, status=429, retry_after_seconds=3),
    }
    # The SDK sends again what was answered so, and nothing else.
    for name, fault in answered.items():
        yield Ambiguity(f"{name}, sent again", fault, retried=True)
        yield Ambiguity(name, fault, retried=False)
    yield Ambiguity("no answer", lambda call: faults.Hang(call=call, times=1), retried=False)
    applied = lambda call: faults.Hang(call=call, times=1, applied=True)  # noqa: E731
    yield Ambiguity("no answer, but applied", applied, retried=False)
    yield Ambiguity("cut off", lambda call: faults.Cut(call=call, times=1), retried=False)
    yield Ambiguity("nonsense for an answer", None, retried=False)


AMBIGUITIES = tuple(_all())
