"""The contract of environment variables: defined once, complete, and read and named nowhere else."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import raydog_cli
import yellowdog_local
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


EVERY = {
    str(file.relative_to(SOURCES.parent)): file.read_text()
    for package in (yellowdog_ray, raydog_cli, yellowdog_local)
    for file in Path(package.__file__).parent.rglob("*.py")
}
OWN = {
    path.removeprefix("yellowdog_ray/"): source for path, source in EVERY.items() if path.startswith("yellowdog_ray/")
}


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


USERS_OF_ON_HEAD = {
    "config/environment.py": "writes it into the head's task",
    "node/scripts.py": "checks that a container received it",
    "node/variables.py": "defines it",
    "wiring.py": "reads it: the side",
    "credentials.py": "reads it: the order of the key's sources",
}


def test_only_declared_modules_use_the_variable_of_the_side():
    assert {path for path, source in OWN.items() if uses("ON_HEAD", source)} == USERS_OF_ON_HEAD.keys()


def uses(constant: str, source: str) -> bool:
    """Whether a module names a constant, by itself, of a module, or in an import."""
    return any(
        constant in (getattr(node, "id", ""), getattr(node, "attr", ""), getattr(node, "name", ""))
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Name | ast.Attribute | ast.alias)
    )


OF_OTHER_PROGRAMS = {
    "PATH",  # the system
    "SHELL",
    "SSH_AUTH_SOCK",  # OpenSSH
    "SUDO_GID",  # sudo
    "SUDO_UID",
    "SUDO_USER",
}
"""Variables that no process of RayDog writes for another."""

KEYS_OF_TABLES = {
    ("yellowdog_ray/credentials.py", "name"): "`_NAMES`, of the contract",
    ("yellowdog_ray/platform/errors.py", "name"): "the names of proxies",
    ("yellowdog_local/hosts/guest/executions.py", "name"): "`INHERITED`, by tasks",
}
"""Variables that loops read, by module and name of the key."""


def keys_read(source: str) -> Iterator[ast.expr]:
    """The expressions by which a module reads or removes variables of its own environment."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Subscript(value=value, slice=key, ctx=ast.Load() | ast.Del()) if is_environment(value):
                yield key
            case ast.Call(func=ast.Attribute(value=value, attr="get" | "pop" | "setdefault"), args=[key, *_]):
                if is_environment(value):
                    yield key
            case ast.Call(func=ast.Attribute(attr="getenv"), args=[key, *_]):
                yield key
            case ast.Compare(left=key, ops=[ast.In() | ast.NotIn()], comparators=[value]) if is_environment(value):
                yield key


def is_environment(node: ast.expr) -> bool:
    return ast.unparse(node) in ("os.environ", "environ")


def declared_names(source: str) -> set[str]:
    """How a module may name variables of the contract: `variables.X`, or what it imports from there."""
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    own = {alias.name for node in imports if node.module == variables.__name__ for alias in node.names}
    return own | {f"variables.{name}" for name in vars(variables)}


def undeclared_keys(path: str, source: str) -> list[str]:
    keys = {ast.unparse(key) for key in keys_read(source)}
    unknown = keys - declared_names(source) - {repr(name) for name in OF_OTHER_PROGRAMS}
    return sorted(key for key in unknown if (path, key) not in KEYS_OF_TABLES)


def test_programs_read_declared_variables_only():
    undeclared = {path: undeclared_keys(path, source) for path, source in EVERY.items()}

    assert {path: keys for path, keys in undeclared.items() if keys} == {}


def test_variables_of_other_programs_are_read():
    read = {ast.unparse(key) for source in EVERY.values() for key in keys_read(source)}

    assert {name for name in OF_OTHER_PROGRAMS if repr(name) not in read} == set()


@pytest.mark.parametrize(
    "source", ['os.environ["X"]', 'os.environ.get("X")', 'os.getenv("X", 1)', '"X" in os.environ', "environ.pop(name)"]
)
def test_undeclared_variable_is_found(source):
    assert len(undeclared_keys("x.py", source)) == 1


OF_THE_LOCAL_PLATFORM = {
    "yellowdog_local/service/directory.py": {"YD_API_KEY_ID", "YD_API_KEY_SECRET", "YD_API_URL"},  # it writes `.env`
    "yellowdog_local/hosts/guest/executions.py": {"YD_AGENT_HOME", "YD_PROVIDER", "YD_REGION"},  # as YellowDog's agent
    "yellowdog_local/hosts/namespace.py": {"YD_AGENT_HOME"},
    "yellowdog_local/hosts/process_home.py": {"YD_AGENT_HOME"},
}
"""Variables of the contract that the local platform, which imports nothing of RayDog, names itself."""


def test_local_platform_names_only_those_variables_that_yellowdog_sets():
    named = {path: set(CONTRACT) & {text for _, text in literals(source)} for path, source in EVERY.items()}

    assert {
        path: names for path, names in named.items() if names and path.startswith("yellowdog_local/")
    } == OF_THE_LOCAL_PLATFORM


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
