"""Progress lines on a terminal and in a plain log."""

import io

from yellowdog_ray.commands.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_plain_log_gets_one_line_per_change_with_elapsed_time():
    out, time = io.StringIO(), Time()
    progress = Progress(out, time)

    progress.update("waiting for the pool")
    time.now += 1.5
    progress.update("waiting for the pool")
    progress.update("waiting for SSH")
    progress.report("up")

    assert out.getvalue().splitlines() == [
        "  [  0.0 s] waiting for the pool",
        "  [  1.5 s] waiting for SSH",
        "  [  1.5 s] up",
    ]


def test_plain_log_repeats_an_unchanged_line():
    out, time = io.StringIO(), Time()
    progress = Progress(out, time)

    for _ in range(25):
        progress.update("waiting")
        time.now += 1

    assert len(out.getvalue().splitlines()) == 3


def test_terminal_line_is_rewritten_until_the_text_changes():
    out, time = Terminal(), Time()
    progress = Progress(out, time)

    progress.update("one")
    time.now += 1
    progress.update("one")
    progress.update("two")

    assert out.getvalue().count("\n") == 1
    assert out.getvalue().endswith("\r\x1b[K  [  1.0 s] two")


def test_reported_line_stays_on_a_terminal():
    out, time = Terminal(), Time()

    Progress(out, time).report("up")

    assert out.getvalue() == "\r\x1b[K  [  0.0 s] up\n"
