import os
import sys
from pathlib import Path

import pytest
from benchmarks.contenders import Failed
from benchmarks.terminal import run

CORE, OTHER_CORE = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
BUSY = "import time\nwhile time.process_time() < 0.3: pass"
IDLE = "import time; time.sleep(0.3)"
LOOK = "import os, sys; print(sys.stdout.isatty(), os.sched_getaffinity(0), os.getcwd(), os.environ['WORD'])"


def python(code: str) -> list[str]:
    return [sys.executable, "-S", "-c", code]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_run_has_output_of_program_in_terminal(tmp_path):
    done = run(python(LOOK), {"WORD": "word"}, tmp_path, CORE)

    assert done.output.split("\r\n") == [f"True {{{CORE}}} {tmp_path} word", ""]


def test_run_has_whole_output_longer_than_buffer(tmp_path):
    assert run(python("print('x' * 300_000)"), {}, tmp_path, CORE).output.count("x") == 300_000


@pytest.mark.parametrize(("code", "least", "most"), [(BUSY, 0.3, 1.0), (IDLE, 0.0, 0.2)])
def test_run_separates_processor_time_from_waiting(tmp_path, code, least, most):
    done = run(python(code), {}, tmp_path, CORE)

    assert least <= done.cpu < most
    assert done.seconds >= 0.3


def test_run_fails_with_output_if_exit_code_is_not_zero(tmp_path):
    with pytest.raises(Failed, match=r"ended with 3 after \d+ s: no such cluster"):
        run(python("print('no such cluster'); raise SystemExit(3)"), {}, tmp_path, CORE)


def test_run_fails_if_program_times_out(tmp_path, monkeypatch):
    monkeypatch.setattr("benchmarks.terminal._TIMEOUT_SECONDS", 0.2)

    with pytest.raises(Failed, match="ended with -9"):
        run(python("import time; time.sleep(60)"), {}, tmp_path, CORE)


def test_run_leaves_open_files_and_cores_as_before(tmp_path):
    before = open_files(), os.sched_getaffinity(0)

    run(python(""), {}, tmp_path, OTHER_CORE)

    assert (open_files(), os.sched_getaffinity(0)) == before
