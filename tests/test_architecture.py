"""The rules of the architecture: what each package may import, no cycles, few modules that load SDK or Ray.

A package's `__init__` states in one line what it is for and what it may import. These tests enforce that line.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Mapping, Set

import pytest

from tests.source_code import (
    MODULES,
    MODULES_OF,
    PROGRAMS,
    SOURCES,
    cycle_in,
    docstring_of,
    imports_of,
    is_dynamic_import,
    loaded_with,
    module_graph,
    path_of,
    tree_of,
    unit_graph,
    unit_of,
    units_that_import,
)

PROVIDER, LOCAL, COMMAND = PROGRAMS

BASE = "the base modules"
BASE_MODULES: Mapping[str, Set[str]] = {
    PROVIDER: {
        "budget",
        "clock",
        "credentials",
        "errors",
        "lazy",
        "names",
        "printable",
        "private_file",
        "redaction",
        "seen_errors",
    },
    LOCAL: {"call_patterns", "errors", "messages"},
}
"""Modules beside the packages that packages may import."""

BELOW_BASE: Mapping[str, Set[str]] = {PROVIDER: {"node"}, LOCAL: set()}
"""The packages that base modules may import."""

TOP_MODULES: Mapping[str, Mapping[str, Set[str]]] = {
    PROVIDER: {
        "side": {"clock", "cluster", "config", "credentials", "errors", "lazy", "platform", "remote"},
        "wiring": {"clock", "commands", "monitor", "node", "side"},
        "provider": {"cluster", "commands", "config", "credentials", "errors", "platform", "wiring"},
    },
    LOCAL: {
        "agents": {"errors", "events", "messages", "state"},
        "coverage": {"api"},
        "events": {"messages", "state"},
        "platform": {"account", "agents", "faults", "hosts", "recording", "seed", "services", "state"},
        "pytest_plugin": {"state", "testing"},
        "recording": {"call_patterns", "state"},
        "scheduler": {"account", "pools", "state", "work"},
        "seed": {"account", "compute"},
        "services": {
            *("account", "agents", "compute", "events", "faults", "hosts", "messages", "pools", "scheduler", "state"),
            "work",
        },
        "testing": {"faults", "hosts", "platform", "recording", "service", "state"},
    },
}
"""The other modules beside the packages, and what each imports."""

USERS_OF_RAY = {"provider", "side", "cluster", "commands", "config", "head", "monitor", "node", "remote"}
"""The packages and modules of the provider that import Ray, at once or later in a function."""

DYNAMIC_IMPORTS = {
    "raydog_cli/clusters.py": "the module of the next step, while YellowDog answers",
    "yellowdog_local/hosts/guest/__main__.py": "the program that its argument names",
    "yellowdog_ray/config/validation.py": "the provider that the YAML names",
    "yellowdog_ray/node/closed_agent.py": "Ray's agent, a program",
}
"""Files that import by a name that they compute, and what."""

LINE = re.compile(r"(?P<purpose>[A-Z`].+?)\. May import (?P<allowed>[^.]+)\.(?: .*)?")
NAME = re.compile(r"`(\w+)`")

PACKAGES = [
    (program, file.parent.name)
    for program in (PROVIDER, LOCAL)
    for file in sorted(SOURCES.glob(f"{program}/*/__init__.py"))
]


def line_of(program: str, package: str) -> str:
    """What the line of a package's `__init__` allows."""
    line = docstring_of(f"{program}.{package}")
    match = LINE.fullmatch(line)
    assert match, f"{package}/__init__.py: say in one line what the package is for and what it may import: {line}"
    return match["allowed"]


def named_in(allowed: str) -> set[str]:
    """The names in a statement such as ``nothing``, ``anything but `a` `` or ```a`, `b` and the base modules``."""
    rest = NAME.sub("", allowed).replace(BASE, "").replace("nothing", "").replace("anything but", "")
    assert re.fullmatch(r"(,| |and)*", rest), f"not understood: {rest}"
    return set(NAME.findall(allowed))


def allowed_imports(program: str) -> dict[str, set[str]]:
    """What each package and top-level module of a program may import."""
    allowed: dict[str, set[str]] = {program: set()}
    for package in (package for one, package in PACKAGES if one == program):
        line = line_of(program, package)
        base = BASE_MODULES[program] if BASE in line else set()
        is_inverse = line.startswith("anything but")
        allowed[package] = unit_graph(program).keys() - named_in(line) if is_inverse else named_in(line) | base
    allowed |= {module: {*BELOW_BASE[program], *BASE_MODULES[program]} for module in BASE_MODULES[program]}
    return allowed | {module: set(imported) for module, imported in TOP_MODULES[program].items()}


UNITS = [(program, unit) for program in (PROVIDER, LOCAL) for unit in unit_graph(program)]


@pytest.mark.parametrize(("program", "unit"), UNITS)
def test_unit_imports_only_what_its_line_allows(program, unit):
    allowed = allowed_imports(program)
    assert unit in allowed, (
        f"new: {unit}. A package needs an __init__.py with a line; a module beside the packages needs an entry in "
        "TOP_MODULES or BASE_MODULES"
    )
    assert unit_graph(program)[unit] <= allowed[unit] | {program}  # it has the version, and imports nothing


@pytest.mark.parametrize(("program", "package"), PACKAGES)
def test_line_allows_only_what_its_package_imports(program, package):
    line = line_of(program, package)
    imported = unit_graph(program)[package]

    if line.startswith("anything but"):
        assert named_in(line) <= unit_graph(program).keys()
    else:
        assert named_in(line) - imported == set()
    assert BASE not in line or imported & BASE_MODULES[program]


@pytest.mark.parametrize("program", [PROVIDER, LOCAL])
def test_table_of_top_modules_has_what_each_imports(program):
    graph = unit_graph(program)

    assert {module: graph[module] - {program} for module in TOP_MODULES[program]} == TOP_MODULES[program]
    assert BASE_MODULES[program] <= graph.keys()


@pytest.mark.parametrize("package", sorted(SOURCES.rglob("__init__.py")), ids=path_of)
def test_first_line_of_package_states_what_it_may_import(package):
    line = package.read_text().splitlines()[0]

    assert re.match(r"\"\"\"[A-Z`].+?\. May import ", line), f"no purpose, or no `May import`: {line}"


@pytest.mark.parametrize(("program", "package"), PACKAGES)
def test_package_itself_has_only_its_line_and_names_of_its_modules(program, package):
    module = f"{program}.{package}"
    _, *rest = tree_of(MODULES[module]).body

    assert all(isinstance(node, ast.ImportFrom | ast.Assign) for node in rest)
    assert all(name.startswith(f"{module}.") for name in imports_of(MODULES[module]))


def test_programs_are_those_of_the_distributions():
    assert {path.name for path in SOURCES.iterdir() if any(path.rglob("*.py"))} == set(PROGRAMS)


def test_directory_of_modules_is_a_package():
    assert {
        path_of(file.parent) for file in SOURCES.rglob("*.py") if not (file.parent / "__init__.py").exists()
    } == set()


def test_command_imports_only_what_its_docstring_allows():
    imported = set().union(*map(imports_of, MODULES_OF[COMMAND].values()))
    stated = re.search(r"Of `yellowdog_ray`: ([^;.]+)", docstring_of(COMMAND))
    assert stated is not None

    assert {unit_of(name) for name in imported if name.split(".")[0] == PROVIDER} - {PROVIDER} == named_in(stated[1])
    assert {unit_of(name) for name in imported if name.split(".")[0] == LOCAL} == {"cli"}
    assert units_that_import("yellowdog_client", COMMAND) == set()


def test_command_starts_without_the_provider():
    assert {name for name in loaded_with(f"{COMMAND}.main") if name.split(".")[0] == PROVIDER} == set()


@pytest.mark.parametrize(
    ("one", "other"), [(PROVIDER, LOCAL), (LOCAL, PROVIDER), (PROVIDER, COMMAND), (LOCAL, COMMAND)]
)
def test_programs_do_not_import_each_other(one, other):
    assert units_that_import(other, one) == set()


def test_commands_and_monitor_share_no_import():
    graph = unit_graph(PROVIDER)

    assert "monitor" not in graph["commands"]
    assert "commands" not in graph["monitor"]
    for below in graph["commands"] | graph["monitor"]:
        assert not graph[below] & {"commands", "monitor"}


@pytest.mark.parametrize("program", PROGRAMS)
def test_modules_have_no_import_cycle(program):
    assert cycle_in(module_graph(program)) == []


@pytest.mark.parametrize("program", [PROVIDER, LOCAL])
def test_packages_have_no_import_cycle(program):
    assert cycle_in(unit_graph(program)) == []


def test_cycle_is_found():
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_only_the_platform_package_imports_the_sdk():
    assert units_that_import("yellowdog_client", PROVIDER) == {"platform"}


def test_only_declared_packages_import_ray():
    assert units_that_import("ray", PROVIDER) == USERS_OF_RAY
    assert units_that_import("ray", LOCAL) | units_that_import("ray", COMMAND) == set()


@pytest.mark.parametrize("library", ["paramiko", "sshtunnel", "typer", "rich", "starlette", "uvicorn"])
def test_provider_does_not_import_heavy_libraries(library):
    assert units_that_import(library, PROVIDER) == set()


def test_only_declared_files_import_by_a_computed_name():
    computed = {
        path_of(file)
        for file in MODULES.values()
        for node in ast.walk(tree_of(file))
        if is_dynamic_import(node) and not isinstance([*node.args, None][0], ast.Constant)
    }

    assert computed == DYNAMIC_IMPORTS.keys()


def test_platform_client_and_inventory_load_no_ray():
    """In a new interpreter, since this one has loaded Ray already. `raydog status` must answer within seconds."""
    inventory = sorted(module for module in MODULES_OF[PROVIDER] if unit_of(module) == "inventory")
    modules = ", ".join(["yellowdog_ray.platform.client", *inventory])
    code = f"import sys, {modules}; print([n for n in sys.modules if n.split('.')[0] == 'ray'])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_source_file_has_at_most_400_lines():
    lengths = {path_of(file): len(file.read_text().splitlines()) for file in MODULES.values()}

    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}
