"""The walls between the parts, as the design draws them."""

import ast
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[1] / "src"


def imports_of(file: Path) -> set[str]:
    """Full names of the modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def importers(package: str, wanted: str) -> set[str]:
    """Files of a package that import something of another."""
    return {
        file.name
        for file in (SOURCES / package).rglob("*.py")
        if any(name.split(".")[0] == wanted for name in imports_of(file))
    }


@pytest.mark.parametrize(("one", "other"), [("yellowdog_ray", "yellowdog_local"), ("yellowdog_local", "yellowdog_ray")])
def test_the_two_programs_meet_over_http_only(one, other):
    assert importers(one, other) == set()


def test_only_one_module_of_the_provider_calls_the_sdk_one_knows_its_entities_and_one_its_exceptions():
    assert importers("yellowdog_ray", "yellowdog_client") <= {
        file.name for file in (SOURCES / "yellowdog_ray" / "platform").iterdir()
    }


def test_the_local_platform_knows_nothing_of_ray():
    assert importers("yellowdog_local", "ray") == set()


@pytest.mark.parametrize("library", ["paramiko", "sshtunnel", "typer", "rich", "starlette", "uvicorn"])
def test_what_runs_on_the_head_stays_light(library):
    assert importers("yellowdog_ray", library) == set()
