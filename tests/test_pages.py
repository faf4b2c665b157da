"""The pages of failures and of the specification name tests that there are."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
DOCS = TESTS.parent / "docs"
PAGE = DOCS / "reliability.md"
SPECIFICATION = DOCS / "spec.md"

NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")


@pytest.mark.parametrize("page", [PAGE, SPECIFICATION], ids=lambda page: page.stem)
def test_every_test_that_a_page_names_exists(page):
    names = named(page)

    assert len(names) > 20
    assert [f"{file}::{name}" for file, name in names if not exists(file, name)] == []


def test_every_requirement_of_the_specification_has_what_proves_it():
    rows = [line for line in SPECIFICATION.read_text().splitlines() if line.startswith("| ")]
    rows = [row for row in rows if not row.startswith(("| the specification", "| feature"))]

    assert len(rows) > 15
    assert [row for row in rows if not re.search(r"`[\w/]+\.py::|`scripts/", row.rsplit("|", 2)[1])] == []


def test_every_failure_of_the_page_has_a_test():
    rows = [line for line in tables().splitlines() if line.startswith("| ") and not line.startswith("| failure")]

    assert len(rows) > 30
    assert [row for row in rows if not NAMED.search(row.rsplit("|", 2)[1])] == []


def tables() -> str:
    """The part of the page that goes through the failures."""
    return PAGE.read_text().split("## Combined failures")[0]


def named(page: Path) -> list[tuple[str, str]]:
    return [(file, name) for file, name in NAMED.findall(page.read_text()) if "/" in file or name]


def exists(file: str, name: str) -> bool:
    path = TESTS / file
    if not path.is_file():
        return False
    functions = {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
    return not name or name in functions
