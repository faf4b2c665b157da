"""The rules of the architecture: what each package may import, no cycles, few modules that load SDK or Ray.

A package's `__init__` states in one line what it is for and what it may import. These tests enforce that line.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Set
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SOURCES = TESTS.parent / "src"
PROVIDER = SOURCES / "yellowdog_ray"

BASE = "the base modules"
BASE_MODULES = frozenset(
    {
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
    }
)
"""Modules beside the packages that packages may import. Of packages they may import `node` only."""

TOP_MODULES: Mapping[str, str] = {
    "side": "`cluster`, `remote`, `platform`, `config`, `node` and the base modules",
    "wiring": "`commands`, `monitor`, `side`, `node` and the base modules",
    "provider": "`wiring`, `side`, `commands`, `cluster`, `platform`, `config` and the base modules",
}
"""The other modules beside the packages, and what each may import."""

LOCAL_TOP_MODULES: Mapping[str, Set[str]] = {
    "agents": {"errors", "events", "messages", "state"},
    "call_patterns": set(),
    "coverage": {"api"},
    "errors": set(),
    "events": {"messages", "state"},
    "messages": set(),
    "platform": {"account", "agents", "faults", "hosts", "recording", "seed", "services", "state"},
    "pytest_plugin": {"state", "testing"},
    "recording": {"call_patterns", "state"},
    "scheduler": {"account", "pools", "state", "work"},
    "seed": {"account", "compute"},
    "services": {
        *(
            "account",
            "agents",
            "compute",
            "events",
            "faults",
            "hosts",
            "messages",
            "pools",
            "scheduler",
            "state",
            "work",
        ),
    },
    "testing": {"faults", "hosts", "platform", "recording", "service", "state"},
    "yellowdog_local": set(),
}
"""The modules beside the local platform's packages, and what each may import."""

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

LINE = re.compile(r"(?P<purpose>[A-Z`][^\n]+?)\. May import (?P<allowed>[^.\n]+)\.(?: [A-Z][^\n]+\.)?")
NAME = re.compile(r"`(\w+)`")


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")


@cache
def imports_of(file: Path) -> set[str]:
    """Full names of the modules and of their members that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@cache
def module_graph(program: str) -> dict[str, set[str]]:
    """The modules of a program that each of its modules imports."""
    files = {module_name(file): file for file in (SOURCES / program).rglob("*.py")}

    def module_of(imported: str) -> str | None:
        return imported if imported in files else imported.rpartition(".")[0] or None

    return {
        name: {module for module in map(module_of, imports_of(file)) if module in files and module != name}
        for name, file in files.items()
    }


def unit_of(module: str) -> str:
    """The package below the program that a module belongs to, or the module itself beside the packages."""
    program, _, rest = module.partition(".")
    return rest.partition(".")[0] or program


@cache
def unit_graph(program: str) -> dict[str, set[str]]:
    """The packages and top-level modules of a program that each of them imports."""
    graph: dict[str, set[str]] = {}
    for module, imported in module_graph(program).items():
        graph.setdefault(unit_of(module), set()).update(unit_of(other) for other in imported)
    return {unit: imported - {unit} for unit, imported in graph.items()}


def cycle_in(graph: Mapping[str, Set[str]]) -> list[str]:
    """One cycle of a graph, or nothing."""
    done: set[str] = set()

    def search(node: str, path: list[str]) -> Iterator[list[str]]:
        if node in path:
            yield [*path[path.index(node) :], node]
        elif node not in done:
            for other in sorted(graph.get(node, ())):
                yield from search(other, [*path, node])
            done.add(node)

    return next((cycle for node in sorted(graph) for cycle in search(node, [])), [])


def line_of(package: Path) -> re.Match[str]:
    """The line of a package's `__init__`, which has nothing else."""
    body = ast.parse((package / "__init__.py").read_text()).body
    assert len(body) == 1, f"{package.name}/__init__.py: must consist of its docstring: purpose and allowed imports"
    line = ast.get_docstring(ast.Module(body, [])) or ""
    match = LINE.fullmatch(line)
    assert match, f"{package.name}/__init__.py: say in one line what the package is for and what it may import: {line}"
    return match


def names_in(allowed: str) -> set[str]:
    """The packages and modules that a statement such as ``nothing`` or ```a`, `b` and the base modules`` names."""
    rest = NAME.sub("", allowed).replace(BASE, "").replace("nothing", "")
    assert re.fullmatch(r"(,| |and)*", rest), f"not understood: {rest}"
    return set(NAME.findall(allowed)) | (BASE_MODULES if BASE in allowed else set())


def allowed_imports() -> dict[str, set[str]]:
    """What each package and top-level module of the provider may import."""
    packages = {file.parent for file in PROVIDER.glob("*/__init__.py")}
    return {
        **{package.name: names_in(line_of(package)["allowed"]) for package in packages},
        **{module: names_in(allowed) for module, allowed in TOP_MODULES.items()},
        **{module: {"node", *BASE_MODULES} for module in BASE_MODULES},
        "yellowdog_ray": set(),
    }


@pytest.mark.parametrize(("unit", "imported"), unit_graph("yellowdog_ray").items(), ids=unit_graph("yellowdog_ray"))
def test_unit_imports_only_what_its_line_allows(unit, imported):
    allowed = allowed_imports()
    assert unit in allowed, (
        f"new: {unit}. A package needs an __init__.py with a line; a module beside the packages needs an entry in "
        "TOP_MODULES or BASE_MODULES"
    )
    assert imported <= allowed[unit] | {"yellowdog_ray"}  # it has the version, and imports nothing


def test_local_module_imports_only_what_its_entry_allows():
    modules = {file.stem for file in (SOURCES / "yellowdog_local").glob("*.py")} - {"__init__"} | {"yellowdog_local"}
    graph = unit_graph("yellowdog_local")

    assert modules == LOCAL_TOP_MODULES.keys(), "a new or removed module: change LOCAL_TOP_MODULES"
    assert {
        name: graph[name] - LOCAL_TOP_MODULES[name] for name in modules if graph[name] - LOCAL_TOP_MODULES[name]
    } == {}


@pytest.mark.parametrize("package", sorted(SOURCES.rglob("__init__.py")), ids=lambda file: module_name(file))
def test_first_line_of_package_states_what_it_may_import(package):
    line = package.read_text().splitlines()[0]

    assert re.match(r"\"\"\"[A-Z`].+?\. May import ", line), f"no purpose, or no `May import`: {line}"


def test_command_line_imports_only_what_its_line_allows():
    imported = set().union(*map(imports_of, (SOURCES / "raydog_cli").rglob("*.py")))

    assert {name for name in imported if name.startswith("yellowdog_local") and ".cli" not in name} == set()
    assert importers("yellowdog_ray", "raydog_cli") | importers("yellowdog_local", "raydog_cli") == set()


def test_lines_name_only_what_exists():
    units = unit_graph("yellowdog_ray").keys()

    for allowed in allowed_imports().values():
        assert allowed <= units


def test_commands_and_monitor_share_no_import():
    graph = unit_graph("yellowdog_ray")

    assert "monitor" not in graph["commands"]
    assert "commands" not in graph["monitor"]
    for below in graph["commands"] | graph["monitor"]:
        assert not graph[below] & {"commands", "monitor"}


@pytest.mark.parametrize("program", ["yellowdog_ray", "yellowdog_local", "raydog_cli"])
def test_modules_have_no_import_cycle(program):
    assert cycle_in(module_graph(program)) == []


def test_packages_of_the_provider_have_no_import_cycle():
    assert cycle_in(unit_graph("yellowdog_ray")) == []


def test_cycle_is_found():
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert cycle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_platform_client_and_inventory_load_no_ray():
    """In a new interpreter, since this one has loaded Ray already. `raydog status` must answer within seconds."""
    inventory = sorted(module for module in module_graph("yellowdog_ray") if unit_of(module) == "inventory")
    modules = ", ".join(["yellowdog_ray.platform.client", *inventory])
    code = f"import sys, {modules}; print([n for n in sys.modules if n.split('.')[0] == 'ray'])"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


@pytest.mark.parametrize("program", ["yellowdog_ray", "yellowdog_local", "raydog_cli"])
def test_source_file_has_at_most_400_lines(program):
    lengths = {module_name(file): len(file.read_text().splitlines()) for file in (SOURCES / program).rglob("*.py")}

    assert {name: lines for name, lines in lengths.items() if lines > 400} == {}


def branches_of(source: str) -> int:
    """How many branches and loops a module has: a conjunction and a comprehension's condition count as one each."""
    branches = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.BoolOp, ast.IfExp, ast.Match)
    nodes = list(ast.walk(ast.parse(source)))
    conditions = sum(len(node.ifs) for node in nodes if isinstance(node, ast.comprehension))
    return conditions + sum(isinstance(node, branches) for node in nodes)


@cache
def modules_without_a_test_file() -> set[str]:
    """Paths below src/ of the modules that have logic and no test file at the same path below tests/."""
    return {
        str(module)
        for module in (file.relative_to(SOURCES) for file in SOURCES.rglob("*.py"))
        if branches_of((SOURCES / module).read_text()) >= BRANCHES_OF_LOGIC
        and not (TESTS / module.parent / f"test_{module.name}").exists()
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


def importers(package: str, wanted: str) -> set[Path]:
    """Files of a package that import something of another."""
    return {
        file.relative_to(SOURCES / package)
        for file in (SOURCES / package).rglob("*.py")
        if any(name.split(".")[0] == wanted for name in imports_of(file))
    }


@pytest.mark.parametrize(("one", "other"), [("yellowdog_ray", "yellowdog_local"), ("yellowdog_local", "yellowdog_ray")])
def test_programs_do_not_import_each_other(one, other):
    assert importers(one, other) == set()


def test_only_the_platform_package_imports_the_sdk():
    assert {file.parts[0] for file in importers("yellowdog_ray", "yellowdog_client")} == {"platform"}


def test_platform_package_does_not_import_ray():
    """No file of it, neither at once nor later in a function."""
    assert {file for file in importers("yellowdog_ray", "ray") if file.parts[0] == "platform"} == set()


def test_local_platform_does_not_import_ray():
    assert importers("yellowdog_local", "ray") == set()


@pytest.mark.parametrize("library", ["paramiko", "sshtunnel", "typer", "rich", "starlette", "uvicorn"])
def test_provider_does_not_import_heavy_libraries(library):
    assert importers("yellowdog_ray", library) == set()
