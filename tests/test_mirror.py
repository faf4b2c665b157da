"""The tests mirror the sources: a module with logic has a test file of the same name."""

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.source_code import SOURCES

TESTS = Path(__file__).parent

BRANCHES_OF_LOGIC = 4
"""A module with at least this many branches has a test file of its own."""

TESTED_ELSEWHERE: Mapping[str, str] = {
    "raydog_cli/shapes.py": "raydog_cli/test_clusters.py",  # mappings, which the commands' tests read as JSON
    "yellowdog_local/api": "contract",  # routes, which are tested over HTTP
    "yellowdog_ray/inventory/doctor.py": "raydog_cli/test_doctor.py",  # mistakes planted on a platform
    "yellowdog_ray/inventory/platform_checks.py": "raydog_cli/test_doctor.py",
    "yellowdog_ray/inventory/yaml_checks.py": "raydog_cli/test_doctor.py",
    "yellowdog_ray/inventory/facts.py": "yellowdog_ray/inventory/test_why.py",  # whose planted causes they find
    "yellowdog_ray/inventory/findings.py": "yellowdog_ray/inventory/test_why.py",
    "yellowdog_ray/inventory/head_report.py": "yellowdog_ray/inventory/test_events.py",
    "raydog_cli/reasons.py": "yellowdog_ray/inventory/test_why.py",
    "yellowdog_ray/carrier/replacement.py": "simulation/head_restart",  # on a platform that it changes
    "yellowdog_ray/monitor/duties.py": "yellowdog_ray/monitor/test_head_side.py",  # which makes them
    "yellowdog_ray/remote/head_files.py": "yellowdog_ray/commands/test_deliver.py",  # as part of a delivery
    "yellowdog_ray/head/__main__.py": "yellowdog_ray/head/test_supervisor.py",  # run there as the program that it is
}
"""Modules and packages without a test file of their own, and the file or directory below tests/ that tests each."""


def branches_of(source: str) -> int:
    """How many branches and loops a module has: a conjunction and a comprehension's condition count as one each."""
    branches = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.BoolOp, ast.IfExp, ast.Match)
    nodes = list(ast.walk(ast.parse(source)))
    conditions = sum(len(node.ifs) for node in nodes if isinstance(node, ast.comprehension))
    return conditions + sum(isinstance(node, branches) for node in nodes)


def has_tests(file: Path) -> bool:
    return file.exists() and "def test_" in file.read_text()


@cache
def modules_without_a_test_file() -> set[str]:
    """Paths below src/ of the modules that have logic and no test file at the same path below tests/."""
    return {
        str(module)
        for module in (file.relative_to(SOURCES) for file in SOURCES.rglob("*.py"))
        if branches_of((SOURCES / module).read_text()) >= BRANCHES_OF_LOGIC
        and not has_tests(TESTS / module.parent / f"test_{module.name}")
    }


def is_of(entry: str, module: str) -> bool:
    """Whether an entry is the module or a package that contains it."""
    return module == entry or module.startswith(f"{entry}/")


def test_module_with_logic_has_its_test_file():
    missing = {
        module
        for module in modules_without_a_test_file()
        if not any(is_of(entry, module) for entry in TESTED_ELSEWHERE)
    }

    assert missing == set(), "add tests/<same path>/test_<module>.py"


def test_declared_exceptions_of_the_mirror_are_needed():
    assert {
        entry for entry in TESTED_ELSEWHERE if not any(is_of(entry, module) for module in modules_without_a_test_file())
    } == set(), "these have their test file, or no logic: remove the entry"
    assert {tests for tests in TESTED_ELSEWHERE.values() if not (TESTS / tests).exists()} == set()


def test_branches_are_counted():
    assert branches_of("def f(a):\n    return [b for b in a if b if b > 1] if a and a[0] else None") == 4
