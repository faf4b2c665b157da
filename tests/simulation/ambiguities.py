"""Answers that leave open whether a call was applied, and some that only look so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase

import pytest

from tests.simulation.wire import Wire
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
    """

    name: str
    fault: Callable[[str], CallFault] | None

    def __str__(self) -> str:
        return self.name

    def prepare(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Let the clients that are made from now on not wait long for a call that hangs."""
        monkeypatch.setattr("yellowdog_ray.platform.client.READ_TIMEOUT", READ_TIMEOUT)

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


AMBIGUITIES = (
    Ambiguity("applied, then 500", lambda call: faults.ApplyThenFail(call=call, times=1)),
    Ambiguity("refused with 500", lambda call: faults.Status(call=call, times=1, status=500)),
    Ambiguity(
        "throttled",
        lambda call: faults.Status(call=call, times=1, status=429, retry_after_seconds=3),
    ),
    Ambiguity("no answer", lambda call: faults.Hang(call=call, times=1)),
    Ambiguity("no answer, but applied", lambda call: faults.Hang(call=call, times=1, applied=True)),
    Ambiguity("cut off", lambda call: faults.Cut(call=call, times=1)),
    Ambiguity("nonsense for an answer", None),
)
