"""The loop of the supervisor, and the last lines of logs, within this process."""

import os
import signal
import time
from collections.abc import Iterator

import pytest

from yellowdog_ray.head import supervisor
from yellowdog_ray.head.processes import Command
from yellowdog_ray.head.supervisor import supervise, tail

RAY = Command(["ray"], {})
QUIET_SECONDS = 0.2


@pytest.fixture
def signals() -> Iterator[None]:
    """Restores the handlers of this process."""
    numbers = (signal.SIGCHLD, signal.SIGUSR1, signal.SIGTERM, signal.SIGINT)
    handlers = {number: signal.getsignal(number) for number in numbers}
    yield
    signal.set_wakeup_fd(-1)
    for number, handler in handlers.items():
        signal.signal(number, handler)


class Fake:
    """A supervisor that receives a signal, has nothing to do for a while, and then loses its input."""

    def __init__(self) -> None:
        read, self.input = os.pipe()
        self.control = os.fdopen(read)
        self.rounds = 0
        self.quiet_until = 0.0
        self.launched: list[Command] = []
        self.stopped = False
        os.write(self.input, b"\n")

    def restart_due(self) -> float:
        self.rounds += 1
        if self.rounds == 2:
            os.kill(os.getpid(), signal.SIGUSR1)
            self.quiet_until = time.monotonic() + QUIET_SECONDS
        elif self.rounds > 2 and time.monotonic() >= self.quiet_until:
            os.close(self.input)
        return QUIET_SECONDS

    def report_events(self) -> None:
        pass

    def launch(self, command: Command) -> None:
        self.launched.append(command)

    def stop(self) -> None:
        self.stopped = True


def test_loop_starts_ray_at_a_line_and_waits_after_a_signal_until_its_input_ends(signals, monkeypatch):
    monkeypatch.setattr(supervisor, "reap", lambda _: None)  # it would take the children of this process
    fake = Fake()
    with fake.control:
        code = supervise(fake, RAY, fake.control)

    assert (code, fake.launched, fake.stopped) == (0, [RAY], True)
    assert fake.rounds <= 5, "it does not run without a pause"


def test_tail_contains_the_logs_that_can_be_read(tmp_path):
    (tmp_path / "out").write_text("last words\n")

    assert tail(Command([], {}, output=(str(tmp_path / "missing"), str(tmp_path / "out")))) == ["out: last words"]
