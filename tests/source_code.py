"""The import graph of the programs below src/, read from their source."""

import ast
from collections.abc import Iterable, Iterator, Mapping, Set
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parents[1] / "src"
PROGRAMS = ("yellowdog_ray", "yellowdog_local", "raydog_cli")


def module_name(file: Path) -> str:
    return ".".join(file.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")


def path_of(file: Path) -> str:
    return str(file.relative_to(SOURCES))


MODULES: Mapping[str, Path] = {module_name(file): file for file in SOURCES.rglob("*.py")}
"""The file of each module of all programs."""


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


@cache
def docstring_of(module: str) -> str:
    return " ".join((ast.get_docstring(tree_of(MODULES[module])) or "").split())


def names_imported(nodes: Iterable[ast.AST]) -> set[str]:
    """Full names of the modules, and of their members, that some nodes import, also by `import_module`."""
    found: set[str] = set()
    for node in nodes:
        match node:
            case ast.Import(names=names):
                found |= {alias.name for alias in names}
            case ast.ImportFrom(module=module, names=names, level=level):
                assert level == 0, f"a relative import of {module}"
                found |= {f"{module}.{alias.name}" for alias in names}
            case ast.Call(args=[ast.Constant(value=str(name)), *_]) if is_dynamic_import(node):
                found.add(name)
    return found


def is_dynamic_import(node: ast.AST) -> bool:
    """Whether a node is a call that imports or runs the code of its argument."""
    names = {"import_module", "__import__", "run_path", "run_module", "exec", "eval"}
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return name in names
    return False


@cache
def imports_of(file: Path) -> set[str]:
    """What a file imports anywhere in it."""
    return names_imported(ast.walk(tree_of(file)))


@cache
def imports_at_load(file: Path) -> set[str]:
    """What a file imports when it is loaded, thus not in functions, and not for the type checker."""
    return names_imported(_nodes_at_load(tree_of(file)))


def _nodes_at_load(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        yield child
        yield from _nodes_at_load(child)


def module_of(imported: str) -> str | None:
    """The module below src/ that an imported name is, or is a member of."""
    return next((name for name in (imported, imported.rpartition(".")[0]) if name in MODULES), None)


@cache
def module_graph(program: str) -> dict[str, set[str]]:
    """The modules of a program that each of its modules imports."""
    return {
        name: {other for other in map(module_of, imports_of(file)) if other in MODULES_OF[program] and other != name}
        for name, file in MODULES_OF[program].items()
    }


@cache
def loaded_with(module: str) -> set[str]:
    """Full names of everything that is imported when a module is loaded, directly or by others."""
    names: set[str] = set()
    waiting, seen = [module], set()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        found = imports_at_load(MODULES[name])
        names |= found
        packages = {name.rpartition(".")[0]} & MODULES.keys()
        waiting += packages | {other for other in map(module_of, found) if other}
    return names | seen


MODULES_OF: Mapping[str, Mapping[str, Path]] = {
    program: {name: file for name, file in MODULES.items() if name.split(".")[0] == program} for program in PROGRAMS
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


def units_that_import(library: str, program: str) -> set[str]:
    """The packages and top-level modules of a program that import something of a library, or of another program."""
    return {
        unit_of(name)
        for name, file in MODULES_OF[program].items()
        if any(imported.split(".")[0] == library for imported in imports_of(file))
    }
