"""The command `scripts/guards`: runs the tests of each row without each guard of the row."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.guards.guard import ROOT, Guard, guards, row_tests, without
from tests.selection import VARIABLE as EXHAUSTIVE


def main() -> int:
    """The command; 0 if all is well."""
    parser = argparse.ArgumentParser("scripts/guards", add_help=False)  # the script has the help
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    texts = {row: f"{row} {of_row} {row_tests()[row]}".lower() for row, of_row in guards().items()}
    chosen = {row: guards()[row] for row in texts if all(word.lower() in texts[row] for word in options.words)}
    if options.list or not chosen:
        print("\n".join(f"{row}\n  {text}" for row, of_row in chosen.items() for text in map(" and ".join, of_row)))
        return int(not chosen)
    with tempfile.TemporaryDirectory(prefix="guards-") as folder:
        bad = sum(_row(Path(folder), row, of_row, row_tests()[row]) for row, of_row in chosen.items())
    print(f"{sum(map(len, chosen.values()))} guards in {len(chosen)} rows, {bad} rows with problems")
    return int(bad > 0)


def _row(folder: Path, row: str, of_row: list[Guard], tests: set[str]) -> bool:
    """Report on a row; whether it has a problem. Tests of the provider's modules are left to `scripts/mutate`."""
    lines, passing = [], {test for test in tests if not test.startswith("yellowdog_ray/")}
    control = _run(folder, (), tests)
    problems = [f"{test} with all guards: {control.get(test)}" for test in tests if control.get(test) != "passed"]
    for guard in [] if problems else of_row:
        outcomes = _run(folder, guard, tests)
        passing -= (failed := {test for test in tests if outcomes.get(test) == "failed"})
        lines.append(f"{len(failed)}/{len(tests)} tests fail without {' and '.join(guard)}")
        problems += [] if failed else [f"SURVIVED: {guard[0]}: {outcomes}"]
    problems += [f"SURVIVES every removal: {test}" for test in passing]
    print("\n  ".join([row, *lines, *problems]), flush=True)
    return bool(problems)


def _run(folder: Path, guard: Guard, tests: set[str]) -> dict[str, str]:
    """The outcomes of tests in a copy of the checkout without a guard; see `watch`."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        copy, report = Path(temporary) / "copy", Path(temporary) / "report.json"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "dist"))
        for path, source in (without(line, copy) for line in guard):
            path.write_text(source)
        run = json.dumps({"copy": str(copy), "tests": sorted(tests), "report": str(report)})
        environment = {**os.environ, "PYTHONPATH": f"{copy / 'src'}:{copy}", "RAYDOG_GUARDS": run, EXHAUSTIVE: "1"}
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.guards.watch", "-p", "no:cacheprovider"]
        command += sorted({f"tests/{test.split('::')[0]}" for test in tests})
        done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True, check=False)
        return json.loads(report.read_text()) if report.exists() else {"pytest": done.stdout + done.stderr}


if __name__ == "__main__":
    sys.exit(main())
