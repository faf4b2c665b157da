"""Runs mutmut in a copy of the checkout, with this project's selection of mutations, and writes what it found.

Sentences and log calls are not mutated: a test that compares whole messages would only repeat them. Other strings, such
as names of variables and of states, are mutated once each.
"""

import json
import logging
import sys
from collections.abc import Iterable
from pathlib import Path

import libcst
from mutmut.__main__ import _run, walk_mutatable_files
from mutmut.mutation import mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code


def _strings(node: libcst.BaseString) -> Iterable[libcst.BaseString]:
    if isinstance(node, libcst.SimpleString) and " " not in node.value:
        yield from list(mutators.operator_string(node))[:1]


def _select_mutations() -> None:
    operators = [(kind, _strings if of is mutators.operator_string else of) for kind, of in mutators.mutation_operators]
    mutators.mutation_operators[:] = operators  # type: ignore[index]


def main(report: str, jobs: str) -> None:
    """Run the mutations that the copy's pyproject.toml selects.

    Args:
        report: the JSON file to write: a list of module, name, status ("killed", "survived", ...) and diff.
        jobs: mutations at a time.
    """
    logging.raiseExceptions = False  # Ray's log handler keeps the output stream of an earlier run in this process
    _select_mutations()
    _run([], int(jobs))
    found = []
    for path in walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, exit_code in data.exit_code_by_key.items():
            status = status_by_exit_code[exit_code]
            diff = "" if status == "killed" else get_diff_for_mutant(name, path=path)
            module = str(path.relative_to("src/yellowdog_ray"))
            found.append({"module": module, "name": name, "status": status, "diff": diff})
    Path(report).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
