"""Runs mutmut in a copy of the checkout, with this project's selection of mutations, and writes what it found.

Sentences and log calls are not mutated: a test that compares whole messages would only repeat them. Other strings, such
as names of variables and of states, are mutated once each. Besides mutmut's mutations, the condition of each `if` is
replaced by False: the mutation that removes a guard.
"""

import json
import logging
import random
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import libcst
import mutmut.__main__
from mutmut.mutation import mutators
from mutmut.mutation.data import SourceFileMutationData
from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code


def _strings(node: libcst.BaseString) -> Iterable[libcst.BaseString]:
    if isinstance(node, libcst.SimpleString) and " " not in node.value:
        yield from list(mutators.operator_string(node))[:1]


def _without_condition(node: libcst.If) -> Iterable[libcst.If]:
    yield node.with_changes(test=libcst.Name("False"), whitespace_before_test=libcst.SimpleWhitespace(" "))


def _select_mutations() -> None:
    operators = [(kind, _strings if of is mutators.operator_string else of) for kind, of in mutators.mutation_operators]
    operators.append((libcst.If, _without_condition))
    mutators.mutation_operators[:] = operators  # type: ignore[index]


def _select_sample(size: int, seed: int) -> None:
    """Let mutmut run a random sample of its mutations only; each has the same probability."""
    collect = mutmut.__main__.collect_source_file_mutation_data

    def collect_sample(**names: Any) -> Any:
        mutants, by_path = collect(**names)
        mutants.sort(key=lambda mutant: mutant[1])
        return random.Random(seed).sample(mutants, min(size, len(mutants))), by_path

    mutmut.__main__.collect_source_file_mutation_data = collect_sample


def main(report: str, jobs: str, sample: str, seed: str) -> None:
    """Run the mutations that the copy's pyproject.toml selects.

    Args:
        report: the JSON file to write: a list of module, name, status ("killed", "survived", "not checked" ...) and
            diff.
        jobs: mutations at a time.
        sample: number of mutations to run; 0 for all.
        seed: selects the sample.
    """
    logging.raiseExceptions = False  # Ray's log handler keeps the output stream of an earlier run in this process
    _select_mutations()
    if int(sample):
        _select_sample(int(sample), int(seed))
    mutmut.__main__._run([], int(jobs))
    found = []
    for path in mutmut.__main__.walk_mutatable_files():
        data = SourceFileMutationData(path=path)
        data.load()
        for name, exit_code in data.exit_code_by_key.items():
            status = status_by_exit_code[exit_code]
            diff = "" if status in ("killed", "not checked") else get_diff_for_mutant(name, path=path)
            module = str(path.relative_to("src/yellowdog_ray"))
            found.append({"module": module, "name": name, "status": status, "diff": diff})
    Path(report).write_text(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
