"""Many random runs, in parallel processes; the command `scripts/chaos`."""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.simulation.random_runs.matrix import Case, pairs, single_changes
from tests.simulation.random_runs.runs import NO_CLUSTER, Order, Outcome, run_order, spare_imports
from yellowdog_local.state.profiles import ProfileError, assume, load_profile
from yellowdog_local.state.settings import Settings

SABOTAGE_SCENARIOS = 300
"""The maximum number of scenarios in which each sabotage must be detected."""

SEEDS_PER_VALUE = 20
"""Scenarios for each other value of a setting."""

PAIRS = 200
"""Scenarios with a random pair of changed settings."""


def main() -> int:
    """The command."""
    options = _options()
    if options.list_sabotages:
        return _list_sabotages()
    if options.sabotages:
        return _run_all_sabotages(options)
    if options.all_assumptions:
        return _run_all_assumptions(options)
    try:
        profile = load_profile(options.profile) if options.profile else Settings()
        settings = assume(options.assume, profile)
    except ProfileError as error:
        return _refuse(error)
    alone = options.scenarios is None and options.seed is not None
    first = options.seed if options.seed is not None else 0
    orders = [
        Order(seed, options.autoscaler, options.sabotage, settings)
        for seed in range(first, first + (1 if alone else options.scenarios or 1000))
    ]
    if alone:
        outcome = run_order(orders[0])
        if outcome.invariant == NO_CLUSTER:
            return _refuse(outcome.text)
        print(outcome.story)
        print(f"\n{_verdict(outcome)}")
        return int(outcome.invariant is not None)
    return _run_many(orders, options)


def _refuse(reason: object) -> int:
    """Print why nothing can be run."""
    print(f"scripts/chaos: {reason}", file=sys.stderr)
    return 2


def _run_many(orders: list[Order], options: argparse.Namespace) -> int:
    began, failed, calls, done = time.monotonic(), 0, 0, 0
    for outcome in _outcomes(orders, options.jobs):
        done += 1
        calls += outcome.calls
        if outcome.invariant == NO_CLUSTER:
            return _refuse(outcome.text)
        if outcome.invariant is not None:
            failed += 1
            _report(outcome, options.stories)
            if options.sabotage:
                print(f"{options.sabotage}: caught by '{outcome.invariant}' after {done} scenarios")
                return 0
        if done % 50 == 0 or done == len(orders):
            seconds = time.monotonic() - began
            print(f"{done} of {len(orders)} scenarios, {failed} failed, {calls} calls, {seconds:.0f} s", flush=True)
    if options.sabotage:
        print(f"{options.sabotage}: not caught by {done} scenarios")
        return 1
    return int(failed > 0)


def _run_all_sabotages(options: argparse.Namespace) -> int:
    """Print for each sabotage how many scenarios it takes to detect it, as rows of a table."""
    from tests.simulation.random_runs.sabotage import SABOTAGES

    first, most = options.seed or 0, options.scenarios or SABOTAGE_SCENARIOS
    missed = 0
    print("| sabotage | scenarios | autoscaler | check |\n|---|---|---|---|", flush=True)
    for name in SABOTAGES:
        orders = [Order(seed, options.autoscaler, name) for seed in range(first, first + most)]
        numbered = enumerate(_outcomes(orders, options.jobs), 1)
        found = next(((number, outcome) for number, outcome in numbered if outcome.invariant is not None), None)
        if found is None:
            missed += 1
            print(f"| {name} | not detected by {most} | | |", flush=True)
        else:
            print(f"| {name} | {found[0]} | {found[1].autoscaler} | {found[1].invariant} |", flush=True)
    return int(missed > 0)


def _run_all_assumptions(options: argparse.Namespace) -> int:
    """Run the scenarios of each other value of each setting, and of random pairs; print the failures as a table."""
    first, per_value = options.seed or 0, options.seeds_per_value
    cases = [case for case in single_changes() for _ in range(per_value)]
    cases += pairs(first, PAIRS * per_value // SEEDS_PER_VALUE)
    orders = [Order(seed, options.autoscaler, None, case.settings) for seed, case in enumerate(cases, first)]
    runs, failures = Counter[str](), Counter[str]()
    began = time.monotonic()
    for done, (case, outcome) in enumerate(zip(cases, _outcomes(orders, options.jobs), strict=True), 1):
        row = _row(case)
        runs[row] += 1
        if outcome.invariant is not None:
            failures[row] += 1
            _report(outcome, options.stories)
        if done % 100 == 0 or done == len(orders):
            passed = time.monotonic() - began
            print(f"{done} of {len(orders)} scenarios, {failures.total()} failed, {passed:.0f} s", flush=True)
    print("\n| setting | value | scenarios | failures |\n|---|---|---|---|")
    for row, count in runs.items():
        print(f"| {row} | {count} | {failures[row]} |")
    return int(failures.total() > 0)


def _row(case: Case) -> str:
    if len(case.changes) > 1:
        return "random pairs | "
    ((name, value),) = case.changes
    return f"{name} | {json.dumps(value)}"


def _outcomes(orders: list[Order], jobs: int) -> Iterator[Outcome]:
    """In the order of the seeds, so that the output is the same however many processes there are."""
    if jobs == 1:
        yield from map(run_order, orders)
        return
    context = multiprocessing.get_context("spawn")  # Ray, imported, has threads that a fork would lose
    with context.Pool(jobs, spare_imports) as pool:
        yield from pool.imap(run_order, orders, chunksize=1)


def _report(outcome: Outcome, stories: Path) -> None:
    stories.mkdir(parents=True, exist_ok=True)
    file = stories / f"seed-{outcome.seed}-{outcome.autoscaler}.txt"
    file.write_text(f"{outcome.story}\n")
    print(f"\nFAILED {_verdict(outcome)}")
    print(_last(outcome.story.splitlines(), 25))
    print(f"  the whole story: {file}\n  again: {outcome.command}\n", flush=True)


def _verdict(outcome: Outcome) -> str:
    what = outcome.text if outcome.invariant else "all invariants held"
    return f"seed {outcome.seed}, autoscaler {outcome.autoscaler}: {what}"


def _last(lines: Iterable[str], count: int) -> str:
    return "\n".join(f"  {line[:200]}" for line in list(lines)[-count:])


def _list_sabotages() -> int:
    from tests.simulation.random_runs.sabotage import SABOTAGES

    for name, sabotage in SABOTAGES.items():
        print(f"{name:28} {sabotage.__doc__}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("scripts/chaos", add_help=False)  # the script has the help
    add = parser.add_argument
    add("--scenarios", type=int, metavar="N")
    add("--seed", type=int, metavar="N")
    add("--autoscaler", choices=("v1", "v2"))
    add("--jobs", type=int, default=min(os.cpu_count() or 1, 8), metavar="N")
    add("--stories", type=Path, default=Path("chaos-stories"), metavar="DIR")
    add("--assume", action="append", default=[], metavar="NAME=VALUE")
    add("--profile", type=Path, metavar="FILE")
    add("--all-assumptions", action="store_true")
    add("--seeds-per-value", type=int, default=SEEDS_PER_VALUE, metavar="N")
    add("--sabotage", metavar="NAME")
    add("--sabotages", action="store_true")
    add("--list-sabotages", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
