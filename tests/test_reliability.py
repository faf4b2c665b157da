"""The page of failures names tests that there are."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs/reliability.md"

NAMED = re.compile(r"`([\w/]+\.py)(?:::(\w+))?`")


def test_every_test_that_the_page_names_exists():
    missing = [f"{file}::{name}" for file, name in named() if not exists(file, name)]

    assert missing == []


def test_every_failure_of_the_page_has_a_test():
    rows = [line for line in tables().splitlines() if line.startswith("| ") and not line.startswith("| failure")]

    assert len(rows) > 30
    assert [row for row in rows if not NAMED.search(row.rsplit("|", 2)[1])] == []


def tables() -> str:
    """The part of the page that goes through the failures."""
    return PAGE.read_text().split("## All of it at once")[0]


def named() -> list[tuple[str, str]]:
    return [(file, name) for file, name in NAMED.findall(PAGE.read_text()) if "/" in file or name]


def exists(file: str, name: str) -> bool:
    path = TESTS / file
    if not path.is_file():
        return False
    functions = {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)}
    return not name or name in functions
