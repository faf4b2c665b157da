"""What a module's docstring says that it does not import is not loaded with it.

Sentences such as `Must not import Ray.`, `Loads no Ray.`, `Imports nothing of the platform.` and `Standard library
only.` are read. That of a package holds for all its modules.
"""

import re
import sys
from collections.abc import Iterator, Set

import pytest

from tests.source_code import MODULES, PROGRAMS, docstring_of, imports_of, loaded_with, module_of

SENTENCE = re.compile(
    r"\b(?:[Mm]ust not import|[Ii]mports nothing of|[Ll]oads no|[Ii]mports no(?!thing|ne)|No SDK, no) ([^.;:(]+)"
)
ALONE = re.compile(r"\b[Ss]tandard library only\b|\b[Ii]mports nothing(?! of)")

_SERVICES = {f"yellowdog_local.{name}" for name in ("account", "compute", "pools", "work", "services")}

WORDS = {
    "Ray": {"ray"},
    "SDK": {"yellowdog_client"},
    "the Redis client": {"redis"},
    "pydantic": {"pydantic"},
    "RayDog": set(PROGRAMS),
    "other modules": set(PROGRAMS),
    "this package": {"yellowdog_ray"},
    "the platform": {"yellowdog_local"},
    "HTTP": {"yellowdog_local.api", "yellowdog_local.service", "http", "starlette", "uvicorn"},
    "command line": {"yellowdog_local.cli"},
    "command": {"yellowdog_local.cli.main"},
    "hosts": {"yellowdog_local.hosts"},
    "models": {"yellowdog_client"},
    "pool": {"yellowdog_local.pools"},
    "record": {"yellowdog_local.state.records", "yellowdog_local.state.store"},
    "routes": {"yellowdog_local.api.app"},
    "rules": {"yellowdog_local.faults"},
    "service": _SERVICES,
    "task": {"yellowdog_local.work"},
    "worker": {"yellowdog_local.pools"},
}
"""What the words of these sentences stand for. A word in backticks is a package or module of the same program."""


def objects_of(module: str) -> Iterator[str]:
    """What the sentences of a docstring name."""
    for found in SENTENCE.findall(docstring_of(module)):
        listed, *_ = re.split(r", which|, so that| and parses| and prints", found)
        yield from (
            re.sub(r"^no | of RayDog$", "", word.strip()) for word in re.split(r", (?:and )?| and | or ", listed)
        )


def meaning(word: str, module: str) -> Set[str]:
    """The modules and libraries that a word stands for."""
    if word.startswith("`"):
        package, program = module.rpartition(".")[0], module.partition(".")[0]
        return {f"{place}.{word.strip('`')}" for place in (package, program)} & MODULES.keys()
    return WORDS.get(word) or WORDS.get(word.removesuffix("s"), set())


FORBIDDEN = [(module, word) for module in sorted(MODULES) for word in objects_of(module)]


def members(module: str) -> Iterator[str]:
    """A module, or all those of a package."""
    return (name for name in MODULES if name == module or name.startswith(f"{module}."))


def reached_from(module: str) -> set[str]:
    """What a module imports, also later in functions, and what is loaded with that."""
    imported = imports_of(MODULES[module])
    return loaded_with(module).union(imported, *(loaded_with(other) for other in map(module_of, imported) if other))


def is_below(name: str, places: Set[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


@pytest.mark.parametrize(("module", "word"), FORBIDDEN, ids=lambda value: value)
def test_module_reaches_nothing_that_its_docstring_excludes(module, word):
    excluded = meaning(word, module)

    assert excluded, f"not understood: {word}; add it to WORDS"
    assert {
        (member, name)
        for member in members(module)
        for name in reached_from(member)
        if is_below(name, excluded) and not is_below(member, {name})
    } == set()


@pytest.mark.parametrize("module", [name for name in sorted(MODULES) if ALONE.search(docstring_of(name))])
def test_module_that_stands_alone_imports_the_standard_library_only(module):
    own = module.rpartition(".")[0] if "standard library only" in docstring_of(module).lower() else module
    names = {name for member in members(module) for name in imports_of(MODULES[member])}

    assert {
        name for name in names if name.split(".")[0] not in sys.stdlib_module_names and not is_below(name, {own})
    } == set()


def test_sentences_are_found():
    assert len(FORBIDDEN) > 40
    assert {("yellowdog_ray.head.agent", "Ray"), ("yellowdog_ray.carrier", "Ray")} <= set(FORBIDDEN)
