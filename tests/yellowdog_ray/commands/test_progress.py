import io

from yellowdog_ray.commands.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_plain_log_gets_a_line_per_change_with_elapsed_time():
    out, time = io.StringIO(), Time()
    progress = Progress(out, time)

    progress.say("waiting for the pool")
    time.now += 1.5
    progress.say("waiting for the pool")
    progress.say("waiting for SSH")
    progress.done("up")

    assert out.getvalue().splitlines() == [
        "  [  0.0 s] waiting for the pool",
        "  [  1.5 s] waiting for SSH",
        "  [  1.5 s] up",
    ]


def test_a_plain_log_is_never_silent_for_long():
    out, time = io.StringIO(), Time()
    progress = Progress(out, time)

    for _ in range(25):
        progress.say("waiting")
        time.now += 1

    assert len(out.getvalue().splitlines()) == 3


def test_on_a_terminal_the_line_is_rewritten_until_the_text_changes():
    out, time = Terminal(), Time()
    progress = Progress(out, time)

    progress.say("one")
    time.now += 1
    progress.say("one")
    progress.say("two")

    assert out.getvalue().count("\n") == 1
    assert out.getvalue().endswith("\r\x1b[K  [  1.0 s] two")
