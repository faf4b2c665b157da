"""Takes the provider's guards out, one at a time, and sees whether the tests notice; the command `scripts/guards`."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.guards.guard import ROOT, Guard, GuardError, node_ids
from tests.guards.guards import GUARDS, UNGUARDED
from tests.guards.watch import COPY, REPORT

_HELP = """\
A test that cannot fail shows nothing. docs/reliability.md names the tests of every failure; here each guard, which is
the piece of the provider that keeps such a promise, is taken out of a throw-away copy of this checkout, and those tests
must fail. First they run on a copy with all guards in place, where they must pass. The checkout itself is not touched.
End-to-end tests are left out: a host has the provider of the checkout.
"""

_EXAMPLES = """\
what a line says:
  noticed    every named test has failed
  SURVIVED   a named test passed without the guard: sharpen it
  BROKEN     a test was skipped, failed in its set-up or did not end, which shows nothing; or the guard's text is gone

examples:
  scripts/guards                       all of them
  scripts/guards spot                  those with "spot" in their row, file, test or what they keep
  scripts/guards --list                which there are
  scripts/guards --jobs 2              two at a time

The list is tests/guards/guards.py. Exits with 1 unless everything was noticed.
"""

_LONGEST_RUN = 900.0
"""Seconds for one pytest: the longest sweep of kills takes a minute on a quiet machine."""

_UNCOPIED = shutil.ignore_patterns(".*", "__pycache__", "chaos-stories", "build", "dist")

T = TypeVar("T")


@dataclass(frozen=True)
class _Result:
    """How one run went.

    Attributes:
        wrong: what is not as it should be, or nothing.
        survived: whether that is a test which passed without its guard.
    """

    name: str
    seconds: float
    wrong: str = ""
    survived: bool = False


def main() -> int:
    """The command."""
    options = _options()
    chosen = [(row, guard) for row, guards in GUARDS.items() for guard in guards if _matches(row, guard, options.words)]
    if not chosen:
        print("no guard matches: see --list")
        return 1
    if options.list:
        return _list(chosen)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="guards-") as folder:
        return _run(chosen, Path(folder), options.jobs, began)


def _run(chosen: Sequence[tuple[str, Guard]], folder: Path, jobs: int, began: float) -> int:
    whole = folder / "whole"
    shutil.copytree(ROOT, whole, ignore=_UNCOPIED)
    by_file = defaultdict(set)
    for _, guard in chosen:
        for test in guard.tests:
            by_file[test.split("::")[0]].add(test)
    print(f"with all guards in place: {sum(map(len, by_file.values()))} tests of {len(by_file)} files", flush=True)
    failed = _report(
        _all(
            [lambda file=file, tests=tests: _control(whole, file, sorted(tests)) for file, tests in by_file.items()],
            jobs,
        ),
        len(by_file),
        "passed",
    )
    if failed:
        print("\nnothing was taken out: tests that fail with every guard in place show nothing")
        return 1
    print(f"\nwithout, one at a time: {len(chosen)} guards", flush=True)
    failed = _report(
        _all(
            [lambda n=n, guard=guard: _without(whole, folder / str(n), guard) for n, (_, guard) in enumerate(chosen)],
            jobs,
        ),
        len(chosen),
        "noticed",
    )
    print(f"\n{len(chosen)} guards, {failed} not noticed, {time.monotonic() - began:.0f} s")
    return int(failed > 0)


def _all(runs: Iterable[Callable[[], T]], jobs: int) -> Iterator[T]:
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for done in as_completed([pool.submit(run) for run in runs]):
                yield done.result()
        finally:
            pool.shutdown(cancel_futures=True)  # Ctrl-C ends with those that run


def _report(results: Iterable[_Result], count: int, good: str) -> int:
    """A line per result; returns how many are not good."""
    bad = 0
    for number, result in enumerate(results, 1):
        bad += bool(result.wrong)
        word = good if not result.wrong else "SURVIVED" if result.survived else "BROKEN"
        print(f"[{number:3}/{count}] {word:9}{result.seconds:5.1f} s  {result.name}", flush=True)
        if result.wrong:
            print(f"          {result.wrong}", flush=True)
    return bad


def _control(copy: Path, file: str, tests: Sequence[str]) -> _Result:
    run = _pytest(copy, tests)
    wrong = [f"{test}: {outcome}" for test, outcome in run.outcomes if outcome != "passed"]
    return _Result(file, run.seconds, f"{'; '.join(wrong)}\n{run.said}" if wrong else "")


def _without(whole: Path, copy: Path, guard: Guard) -> _Result:
    name = f"{guard.file}: {guard.keeps}"
    shutil.copytree(whole, copy)
    try:
        guard.take_out_of(copy)
        run = _pytest(copy, guard.tests)
    except GuardError as error:
        return _Result(name, 0.0, str(error))
    finally:
        shutil.rmtree(copy)
    passed = [test for test, outcome in run.outcomes if outcome == "passed"]
    unclear = [f"{test}: {outcome}" for test, outcome in run.outcomes if outcome not in ("passed", "failed")]
    if unclear:
        return _Result(name, run.seconds, f"{'; '.join(unclear)}\n{run.said}")
    return _Result(name, run.seconds, f"still passes: {', '.join(passed)}" if passed else "", survived=bool(passed))


@dataclass(frozen=True)
class _Run:
    """What one pytest has found: an outcome (see `watch`) per test, the seconds, and its last words."""

    outcomes: Sequence[tuple[str, str]]
    seconds: float
    said: str


def _pytest(copy: Path, tests: Sequence[str]) -> _Run:
    nodes = [(test, node) for test in tests for node in node_ids(test, copy)]
    with tempfile.TemporaryDirectory(prefix="g-") as temporary:
        report = Path(temporary) / "report.json"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.guards.watch", "-p", "no:cacheprovider"]
        command += ["--tb=short", "--show-capture=no", "--basetemp", f"{temporary}/t", *(node for _, node in nodes)]
        began = time.monotonic()
        process = subprocess.Popen(
            command,
            cwd=copy,
            env={**os.environ, "PYTHONPATH": f"{copy / 'src'}:{copy}", COPY: str(copy), REPORT: str(report)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            said, _ = process.communicate(timeout=_LONGEST_RUN)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGINT)  # as Ctrl-C: what the tests have started is ended
            said = f"{process.communicate()[0]}\nended after {_LONGEST_RUN:g} s"
        found = json.loads(report.read_text()) if report.exists() else {}
    outcomes = [(test, found.get(node, "not run")) for test, node in nodes]
    last_words = "\n".join(f"          | {line}" for line in said.splitlines()[-25:])
    return _Run(outcomes, time.monotonic() - began, last_words)


def _matches(row: str, guard: Guard, words: Sequence[str]) -> bool:
    text = "\n".join((row, guard.file, guard.keeps, *guard.tests)).lower()
    return all(word.lower() in text for word in words)


def _list(chosen: Iterable[tuple[str, Guard]]) -> int:
    said = None
    for row, guard in chosen:
        if row != said:
            print(f"\n{row}")
            said = row
        print(f"  {guard.file}: {guard.keeps}")
    print("\nnone possible:")
    for row, reason in UNGUARDED.items():
        print(f"  {row}: {reason}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "scripts/guards", description=_HELP, epilog=_EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("words", nargs="*", metavar="WORD", help="only the guards that have all of these in their entry")
    add("--jobs", type=int, default=1, metavar="N", help="how many at a time (1)")
    add("--list", action="store_true", help="show the guards, and what cannot have one, and end")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
