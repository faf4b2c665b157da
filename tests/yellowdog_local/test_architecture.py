"""The packages of the local platform import what their first line says, and nothing imports in a circle."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import yellowdog_local

ROOT = Path(yellowdog_local.__file__).parent
NAME = ROOT.name
PACKAGES = sorted(init.parent.name for init in ROOT.glob("*/__init__.py"))
BASE = {"errors", "messages", "call_patterns"}
MAX_LINES = 400


def _module(file: Path) -> str:
    parts = file.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {_module(file): file for file in ROOT.rglob("*.py")}


def _imports(file: Path) -> Iterator[str]:
    """The modules of the local platform that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for alias in node.names:
                member = f"{node.module}.{alias.name}"
                yield member if member in MODULES else node.module


def _part(module: str) -> str:
    """The package, or the module beside the packages, that a module belongs to."""
    return module.split(".")[1]


def _allowed(package: str) -> set[str]:
    """The parts that a package may import, as the first line of its `__init__` says."""
    line = (ROOT / package / "__init__.py").read_text(encoding="utf-8").splitlines()[0]
    match = re.search(r"May import (.+)\.", line)
    assert match is not None, f"{package}/__init__.py says in its first line what it may import"
    named = set(re.findall(r"`(\w+)`", match[1]))
    if match[1].startswith("anything but "):
        return {_part(module) for module in MODULES if module != NAME} - named
    return named | (BASE if "the base modules" in match[1] else set())


def test_every_package_says_in_one_line_what_it_may_import() -> None:
    parts = {_part(module) for module in MODULES if module != NAME}
    assert len(PACKAGES) >= 9
    for package in PACKAGES:
        assert _allowed(package) <= parts, package


@pytest.mark.parametrize("package", PACKAGES)
def test_package_imports_no_more_than_its_first_line_allows(package: str) -> None:
    imported = {
        (_part(module), file.name)
        for file in (ROOT / package).rglob("*.py")
        for module in _imports(file)
        if module != NAME and _part(module) != package
    }
    assert {(part, file) for part, file in imported if part not in _allowed(package)} == set()


@pytest.mark.parametrize("module", sorted(BASE))
def test_base_module_imports_nothing_of_the_platform(module: str) -> None:
    assert set(_imports(ROOT / f"{module}.py")) == set()


def test_no_module_imports_itself_through_others() -> None:
    TopologicalSorter({name: set(_imports(file)) - {name} for name, file in MODULES.items()}).prepare()


def test_no_part_imports_itself_through_others() -> None:
    graph: dict[str, set[str]] = {}
    for name, file in MODULES.items():
        if name != NAME:
            part = _part(name)
            graph.setdefault(part, set()).update({_part(m) for m in _imports(file) if m != NAME} - {part})
    TopologicalSorter(graph).prepare()


def test_programs_of_hosts_import_the_standard_library_only() -> None:
    for file in (ROOT / "hosts" / "guest").glob("*.py"):
        names = [
            alias.name if isinstance(node, ast.Import) else node.module or ""
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        ]
        siblings = {sibling.stem for sibling in file.parent.glob("*.py")}
        foreign = {name.split(".")[0] for name in names} - sys.stdlib_module_names - siblings
        assert foreign <= {NAME}, file.name
        assert all(name.startswith(f"{NAME}.hosts.guest") for name in names if name.startswith(NAME)), file.name


@pytest.mark.parametrize("file", sorted(MODULES.values()), ids=lambda file: str(file.relative_to(ROOT)))
def test_file_has_no_more_than_400_lines(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MAX_LINES
