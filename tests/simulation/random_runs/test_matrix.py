"""The matrix of changed settings: it is complete, and a sample of it."""

import json
from pathlib import Path

import pytest

from tests.simulation.exceptions import EXCEPTIONS
from tests.simulation.random_runs.matrix import OTHERS, Case, alternatives, pairs, single_changes
from tests.simulation.random_runs.runs import run
from yellowdog_local.state.profiles import assume
from yellowdog_local.state.settings import Settings

SAMPLE = (
    ("autoscale_counts_booting_nodes=false", "allocation_latency_seconds=10"),
    ("retention_seconds=6", "lists_newest_first=true"),
    ("default_slice_size=1", 'abort_end_state="FAILED"'),
    ("lost_node_terminates_instance=false", "instance_death_noticed_seconds=90"),
    ("replace_shut_down_nodes=false", "max_instances=3"),
)
"""Pairs of settings of which the provider depends on each. `scripts/chaos --all-assumptions` runs all settings."""


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_another_value(name):
    values = alternatives(name)

    assert values
    assert all(str(Case(((name, value),))) for value in values), "none is the default"


def test_others_are_settings():
    assert set(OTHERS) <= set(Settings.model_fields)


def test_numbers_are_a_tenth_ten_times_and_zero_where_it_is_allowed():
    assert alternatives("autoscale_interval_seconds") == (0.1, 10.0)
    assert alternatives("abort_grace_seconds") == (0.0, 3.0, 300.0)
    assert alternatives("lists_newest_first") == (True,)


def test_case_reads_as_words_that_give_its_settings():
    for case in [*single_changes(), *pairs(seed=1, count=100)]:
        assert len(str(case).split("=")) == len(case.changes) + 1
        assert assume(f"{name}={json.dumps(value)}" for name, value in case.changes) == case.settings


def test_page_of_differences_shows_the_exceptions():
    page = (Path(__file__).parents[3] / "docs/differences.md").read_text(encoding="utf-8")
    table = page.partition("### Exceptions")[2].partition("## Assumptions of RayDog itself")[0]
    rows = [line for line in table.splitlines() if line.startswith("| `")]

    assert rows == [f"| `{name}` | {one.allowed} | {one.reason} |" for name, one in EXCEPTIONS.items()]
    assert set(EXCEPTIONS) <= set(Settings.model_fields)


@pytest.mark.search
@pytest.mark.parametrize(("seed", "words"), list(enumerate(SAMPLE, 800_000)), ids=map(" ".join, SAMPLE))
def test_random_run_violates_no_check_with_a_pair_of_changed_settings(seed, words):
    outcome = run(seed, settings=assume(words))

    assert outcome.invariant is None, f"{outcome.text}\nagain: {outcome.command}\n\n{outcome.story}"
