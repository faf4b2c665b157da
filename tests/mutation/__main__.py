"""The command `scripts/mutate`: mutates modules of the provider, runs their quick tests, and judges the survivors."""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from tests.mutation.survivors import JUDGED, Mutant, judgements

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src/yellowdog_ray"

_NOT_MUTATED = [r"\blogger\.\w+\(", r"\bcast\(", r"\bTypeVar\("]

_TESTS_THAT_CAN_RUN = "not (hosts or e2e or search or hypothesis)"
"""Hypothesis refuses to run in mutmut's processes."""

_TESTS = {
    ".": "test_names.py test_redaction.py test_errors.py test_seen_errors.py test_credentials.py test_provider.py "
    "test_lazy.py test_private_file.py test_wiring.py",
    "inventory": "inventory ../raydog_cli",
    "platform": "platform cluster",
}
"""The tests of modules outside packages, of `inventory`, which `raydog` shows, and of `platform`, most of whose calls
`cluster` makes over HTTP. The tests of any other package are the directory of its name."""


def main() -> int:
    """The command; 1 if a survivor is not judged."""
    options = _options()
    modules = _modules(options.modules)
    if options.list or not modules:
        print(*modules, sep="\n")
        return int(not modules)
    if options.survivors:
        print(JUDGED.read_text())
        return 0
    mutants = [
        mutant
        for package, of_package in _by_package(modules).items()
        for mutant in _run(of_package, _tests(package), options)
    ]
    if options.sample:
        print(f"\nrandom sample: at most {options.sample} mutations of each package, seed {options.seed}")
    return _report(mutants)


def _modules(words: list[str]) -> list[str]:
    """The modules of the provider that are named, or are in a named package; all if none is named."""
    names = sorted(path.relative_to(SOURCE).as_posix() for path in SOURCE.rglob("*.py") if path.name != "__init__.py")
    return [name for name in names if not words or any(name == w or name.startswith(f"{w}/") for w in words)]


def _by_package(modules: Iterable[str]) -> dict[str, list[str]]:
    found = defaultdict(list)
    for module in modules:
        found[Path(module).parent.as_posix()].append(module)
    return found


def _tests(package: str) -> list[str]:
    return [os.path.normpath(f"tests/yellowdog_ray/{test}") for test in _TESTS.get(package, package).split()]


def _run(modules: list[str], tests: list[str], options: argparse.Namespace) -> list[Mutant]:
    """Run mutmut in a copy of the checkout.

    Returns:
        All mutants of the modules; with a sample, most of them are not checked.

    Raises:
        SystemExit: the tests fail without any mutation.
    """
    with tempfile.TemporaryDirectory(prefix="mutate-") as folder:
        copy, report = Path(folder) / "copy", Path(folder) / "report.json"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".*", "__pycache__", "build", "dist"))
        with (copy / "pyproject.toml").open("a") as settings:
            settings.write(_settings(modules, tests))
        selection = [str(number) for number in (options.jobs, options.sample, options.seed)]
        command = [sys.executable, "-m", "tests.mutation.engine", str(report), *selection]
        path = os.pathsep.join([str(copy), os.environ.get("PYTHONPATH", "")])
        done = subprocess.run(
            command,
            cwd=copy,
            env={**os.environ, "PYTHONPATH": path},
            stdout=None if sys.stdout.isatty() else subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{(done.stdout or '')[-5000:]}\nmutmut failed: do the tests pass without mutations?")
        return [Mutant(**mutant) for mutant in json.loads(report.read_text())]


def _settings(modules: Iterable[str], tests: list[str]) -> str:
    settings = {
        "source_paths": ["src"],
        "only_mutate": [f"src/yellowdog_ray/{module}" for module in modules],
        "do_not_mutate_patterns": _NOT_MUTATED,
        "pytest_add_cli_args_test_selection": tests,
        "pytest_add_cli_args": ["-m", _TESTS_THAT_CAN_RUN, "-p", "no:cacheprovider"],
        "also_copy": ["benchmarks", "docs", "examples", "requirements", "schemas", "scripts"],
    }
    return "\n[tool.mutmut]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items())


def _report(mutants: Iterable[Mutant]) -> int:
    """Print the outcome of each module and of each package; 1 if a survivor is not judged."""
    by_module = defaultdict(list)
    for mutant in mutants:
        by_module[mutant.module].append(mutant)
    unjudged = 0
    for module, of_module in sorted(by_module.items()):
        survivors = [mutant for mutant in of_module if mutant.survived]
        if any(mutant.checked for mutant in of_module):
            print(f"\n{module}: {_score(of_module)}")
        for mutant in survivors:
            judgement = judgements().get(mutant.function, {}).get(mutant.change)
            unjudged += judgement is None
            print(f"  {judgement or 'NOT JUDGED'} ({mutant.status}): {mutant.function}: {mutant.change}")
    print()
    for package, modules in _by_package(by_module).items():
        print(f"{package}: {_score(mutant for module in modules for mutant in by_module[module])}")
    print(f"survivors that are not judged: {unjudged}")
    return int(unjudged > 0)


def _score(mutants: Iterable[Mutant]) -> str:
    all_mutants = list(mutants)
    checked = [mutant for mutant in all_mutants if mutant.checked]
    of_all = "" if len(checked) == len(all_mutants) else f" (of {len(all_mutants)} in all)"
    return f"{sum(not mutant.survived for mutant in checked)} of {len(checked)} mutations killed{of_all}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/mutate", add_help=False)  # the script has the help
    parser.add_argument("modules", nargs="*")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--survivors", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
