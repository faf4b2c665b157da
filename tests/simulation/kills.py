"""Where a process dies: before one of its platform calls, or after that call was applied."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.simulation.wire import Wire
from yellowdog_local.recording import RecordedCall


class Killed(BaseException):
    """SIGKILL: nothing that the process was going to do afterwards happens."""


@dataclass
class Kill:
    """The end of one process.

    Attributes:
        number: at which of its platform calls, counted from 1.
        call: that call as the recording has it; only for messages.
        applied: after the platform has served it; otherwise before it leaves.
        signal: `Killed`, or `KeyboardInterrupt` (Ctrl-C), after which the process may go on to tidy up.
        struck: whether the process has come that far.
    """

    number: int
    call: str
    applied: bool = False
    signal: type[BaseException] = Killed
    struck: bool = False
    _left: int = 0
    _answered: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __str__(self) -> str:
        moment = "after" if self.applied else "before"
        return f"{self.signal.__name__} {moment} call {self.number}, {self.call}"

    def leaving(self, _: str) -> bool:
        """A call is about to leave."""
        with self._lock:
            self._left += 1
            self._strike(at=not self.applied and self._left == self.number)
        return False

    def answered(self, _: str) -> bool:
        """A call was served. Of calls that go side by side, this need not be the one that left as the same number."""
        with self._lock:
            self._answered += 1
            self._strike(at=self.applied and self._answered == self.number)
        return False

    def _strike(self, *, at: bool) -> None:
        """Die here, or be dead already."""
        if at or (self.struck and self.signal is Killed):
            self.struck = True
            raise self.signal


@contextmanager
def dying(wire: Wire, kill: Kill | None) -> Iterator[None]:
    """Let a process die so, inside this block. Its objects must be thrown away afterwards."""
    if kill is None:
        yield
        return
    with wire.losing(kill.leaving), wire.losing_answers(kill.answered), suppress(kill.signal):
        yield
    assert kill.struck, f"the process ended before it came to {kill}"


def every_kill(calls: Iterable[RecordedCall], signal: type[BaseException] = Killed) -> list[Kill]:
    """One kill before each call, and one after each that changes something.

    Dying after a call that only reads leaves what dying before the next one leaves.
    """
    kills = []
    for number, call in enumerate(calls, 1):
        text = f"{call.method} {call.route}"
        kills.append(Kill(number, text, signal=signal))
        if call.method != "GET":
            kills.append(Kill(number, text, applied=True, signal=signal))
    return kills
