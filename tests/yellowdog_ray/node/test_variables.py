"""The contract of environment variables: defined once, complete, and named nowhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import raydog_cli
import yellowdog_ray
from yellowdog_ray.node import variables
from yellowdog_ray.node.variables import CONTRACT

SOURCES = Path(yellowdog_ray.__file__).parent
HOME = SOURCES / "node/variables.py"

NAME = re.compile(r"\b(?:(?:RAYDOG|RAY|AUTOSCALER|YD)_\w+|PYTHONPATH\b)")
"""Matches names of such variables."""


def literals(source: str) -> Iterator[tuple[int, str]]:
    """All strings of a module with their lines, parts of f-strings included, docstrings excluded."""
    tree = ast.parse(source)
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.lineno, node.value


def names_in(source: str) -> list[str]:
    return [f"line {line}: {name}" for line, text in literals(source) for name in NAME.findall(text)]


MODULES = [
    pytest.param(file, id=str(file.relative_to(SOURCES.parent)))
    for package in (yellowdog_ray, raydog_cli)
    for file in sorted(Path(package.__file__).parent.rglob("*.py"))
]


@pytest.mark.parametrize("file", MODULES)
def test_module_names_no_variable_literally(file):
    if file != HOME:
        assert names_in(file.read_text()) == []


@pytest.mark.parametrize(
    "source", ['x = "RAYDOG_ON_HEAD"', 'x = f"echo ${{RAY_NEW}} {y}"', 'SCRIPT = """\nexport YD_API_KEY_ID=1\n"""']
)
def test_literal_name_is_found(source):
    assert len(names_in(source)) == 1


def test_docstring_may_name_a_variable():
    assert names_in('"""Reads RAYDOG_ON_HEAD."""\nX = 1\n"""Source: RAY_SOMETHING."""') == []


def test_contract_holds_every_constant():
    constants = {value for name, value in vars(variables).items() if isinstance(value, str) and NAME.fullmatch(value)}

    assert constants == CONTRACT.keys()


@pytest.mark.parametrize("variable", CONTRACT.values(), ids=CONTRACT)
def test_contract_states_writer_reader_and_absence(variable):
    assert variable.written_by
    assert variable.read_by
    assert variable.absent


def test_each_name_is_written_once():
    written = [name for _, text in literals(HOME.read_text()) for name in NAME.findall(text) if text == name]

    assert sorted(written) == sorted(CONTRACT)
