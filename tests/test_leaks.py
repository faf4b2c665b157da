"""The leak detector reports leaks of a test, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests import leaks
from tests.leaks import MARKER, LeakDetector, mark_this_run

pytest_plugins = "pytester"

REPOSITORY = Path(__file__).parents[1]
NO_GRACE = 0.0


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> LeakDetector:
    """A detector with its own marker, independent of the one that checks this test."""
    monkeypatch.setenv(MARKER, os.environ[MARKER])
    return LeakDetector(mark_this_run(), own_directory=tmp_path)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["sleep", "60"])
    wait_for_exec(process.pid)
    yield process
    process.kill()
    process.wait()


def start_daemon(*, marked: bool) -> int:
    """A process whose parents have ended, like a daemon; without the marker it counts as foreign."""
    env = None if marked else {"PATH": os.environ["PATH"]}
    script = "setsid sleep 60 >/dev/null 2>&1 & echo $!"
    return int(subprocess.run(["sh", "-c", script], env=env, check=True, capture_output=True).stdout)


def wait_for_exec(pid: int) -> None:
    deadline = time.monotonic() + 5
    while not Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"sleep") and time.monotonic() < deadline:
        time.sleep(0.001)


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and _state(pid) != "Z" and time.monotonic() < deadline:
        time.sleep(0.01)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except FileNotFoundError:
        return ""


def test_leaks_are_none_when_nothing_was_started(detector: LeakDetector) -> None:
    before = detector.snapshot()
    assert detector.leaks(before, grace=NO_GRACE) == []


def test_running_child_is_a_leak(detector: LeakDetector, request: pytest.FixtureRequest) -> None:
    before = detector.snapshot()
    process = request.getfixturevalue("child")
    assert detector.leaks(before, grace=NO_GRACE) == [f"process {process.pid} (sleep 60)"]


def test_child_from_before_is_no_leak(child: subprocess.Popen[bytes], detector: LeakDetector) -> None:
    assert child.poll() is None
    assert detector.leaks(detector.snapshot(), grace=NO_GRACE) == []


def test_child_that_ends_within_the_grace_is_no_leak(detector: LeakDetector) -> None:
    before = detector.snapshot()
    process = subprocess.Popen(["sleep", "0.1"])
    assert detector.leaks(before) == []
    process.wait()


def test_zombie_is_no_leak(detector: LeakDetector) -> None:
    before = detector.snapshot()
    process = subprocess.Popen(["true"])
    wait_until_gone(process.pid)
    assert detector.leaks(before, grace=NO_GRACE) == []
    process.wait()


def test_daemon_is_identified_by_its_marker_and_ended(detector: LeakDetector) -> None:
    before = detector.snapshot()
    pid = start_daemon(marked=True)
    assert [leak for leak in detector.leaks(before, grace=NO_GRACE) if str(pid) in leak]
    detector.end_processes(before)
    wait_until_gone(pid)
    assert _state(pid) in ("", "Z")


def test_child_without_marker_is_identified_by_its_parent(detector: LeakDetector) -> None:
    before = detector.snapshot()
    with subprocess.Popen(["env", "-i", "sleep", "60"]) as process:
        wait_for_exec(process.pid)
        found = detector.leaks(before, grace=NO_GRACE)
        process.kill()
    assert found == [f"process {process.pid} (sleep 60)"]


def test_descendant_without_marker_is_identified_by_its_ancestors(detector: LeakDetector) -> None:
    before = detector.snapshot()
    script = "env -i sleep 60 & echo $!; wait"
    with subprocess.Popen(["env", "-i", "/bin/sh", "-c", script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_for_exec(pid)
        found = detector.leaks(before, grace=NO_GRACE)
        os.kill(pid, 9)
    assert f"process {pid} (sleep 60)" in found


def test_foreign_process_is_not_ended(detector: LeakDetector) -> None:
    before = detector.snapshot()
    pid = start_daemon(marked=False)
    try:
        assert detector.leaks(before, grace=NO_GRACE) == []
        detector.end_processes(before)
        assert _state(pid) not in ("", "Z")
    finally:
        os.kill(pid, 9)


def test_thread_is_a_leak_unless_it_is_a_daemon(detector: LeakDetector) -> None:
    before = detector.snapshot()
    done = threading.Event()
    lasting = threading.Thread(target=done.wait, name="lasting")
    passing = threading.Thread(target=done.wait, name="passing", daemon=True)
    lasting.start()
    passing.start()
    found = detector.leaks(before, grace=NO_GRACE)
    done.set()
    lasting.join()
    passing.join()
    assert found == ["thread lasting"]


def test_watched_item_is_a_leak_when_it_is_new(detector: LeakDetector) -> None:
    instances = {"old"}
    detector.watch("instance", lambda: instances)
    before = detector.snapshot()
    instances.add("new")
    assert detector.leaks(before, grace=NO_GRACE) == ["instance new"]
    detector.unwatch("instance")
    assert detector.leaks(before, grace=NO_GRACE) == []


def test_leak_is_reported_once(child: subprocess.Popen[bytes], detector: LeakDetector) -> None:
    things: set[str] = set()
    detector.watch("pool", lambda: things)
    session = detector.snapshot()
    test = detector.snapshot()
    things.add("p")
    assert detector.leaks(test, grace=NO_GRACE) == ["pool p"]
    assert detector.leaks(session, grace=NO_GRACE) == []


def test_snapshot_reads_each_process_once(detector: LeakDetector, monkeypatch: pytest.MonkeyPatch) -> None:
    before = detector.snapshot()
    monkeypatch.setattr(leaks, "_pids", lambda: before.pids)  # the ancestors of a new process are read again
    reads: list[str] = []
    read = leaks._read_bytes
    monkeypatch.setattr(leaks, "_read_bytes", lambda path: reads.append(path) or read(path))
    detector.leaks(detector.snapshot(), grace=NO_GRACE)
    old = {f"/proc/{pid}" for pid in before.pids}
    assert [path for path in reads if path.rpartition("/")[0] in old] == []


@pytest.mark.hosts
def test_mount_of_this_run_is_a_leak(detector: LeakDetector, tmp_path: Path) -> None:
    before = detector.snapshot()
    point = tmp_path / "mounted"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", point], check=True)
    try:
        assert detector.leaks(before, grace=NO_GRACE) == [f"mount {point}"]
    finally:
        subprocess.run(["umount", point], check=True)


@pytest.mark.hosts
@pytest.mark.parametrize("alias", ["", "{own}/platform"])
def test_bridge_of_this_run_is_a_leak_with_its_cables(detector: LeakDetector, tmp_path: Path, alias: str) -> None:
    before = detector.snapshot()
    with bridge_with_cable(alias.format(own=tmp_path)) as (bridge, cable):
        found = detector.leaks(before, grace=NO_GRACE)
    own = [f"network device {bridge}", f"network device {cable}"]
    assert [leak for leak in found if leak in own] == own


@pytest.mark.hosts
def test_foreign_bridge_is_no_leak(detector: LeakDetector) -> None:
    before = detector.snapshot()
    with bridge_with_cable("/somewhere/else") as devices:
        found = detector.leaks(before, grace=NO_GRACE)
    assert not {f"network device {device}" for device in devices} & set(found)


@contextmanager
def bridge_with_cable(alias: str) -> Iterator[tuple[str, str]]:
    """Other tests may run beside this one, and make devices of their own."""
    bridge, cable = f"raydog{os.getpid()}", f"raydog{os.getpid()}h"
    ip("link", "add", bridge, "type", "bridge")
    try:
        ip("link", "set", bridge, "alias", alias)
        ip("link", "add", cable, "type", "veth", "peer", "name", f"peer{os.getpid()}")
        ip("link", "set", cable, "master", bridge)
        yield bridge, cable
    finally:
        subprocess.run(["ip", "link", "delete", cable], check=False)
        ip("link", "delete", bridge)


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def test_pytest_fails_only_the_test_that_leaks(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    pytester.makeconftest("from tests.conftest import _nothing_left_behind, leak_detector")
    pytester.makepyfile(
        """
        import subprocess

        def test_clean_before():
            subprocess.run(["true"], check=True)

        def test_leaky():
            subprocess.run(["sh", "-c", "setsid sleep 60 >/dev/null 2>&1 &"], check=True)

        def test_clean_after():
            pass
        """
    )
    result = pytester.run(sys.executable, "-m", "pytest", "-p", "no:cacheprovider")
    result.assert_outcomes(passed=3, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_leaky*", "this test left behind: process * (sleep 60)"])
