"""Some random runs; that their checks can fail; and that a seed always gives the same story."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.simulation.random_runs.runs import run
from tests.simulation.random_runs.scenario import INCIDENTS, LATER_INCIDENTS, scenario

pytestmark = pytest.mark.search

SEEDS = range(40)

CAUGHT_WITHIN = 20
"""The maximum number of scenarios until a check detects a provider that is broken in a plain way."""

PLAIN_SABOTAGES = {
    "neighbours_pools_too": "neighbours",
    "partial_listing": "omitted",
    "listing_raises": "loop",
    "nonsense_is_nothing": "omitted",
    "pools_survive": "left",
    "waits_in_the_loop": "loop",
    "new_pools_survive": "left or commands",
    "launches_go_on": "ended",
    "ending_is_ended": "left",
    "calls_without_timeout": "loop",
    "addresses_are_read_once": "commands",
    "tags_are_believed": "loop",
}
"""Sabotages of the provider, and the check that must fail for each, or the checks of which one must."""

RARE_SABOTAGES = {
    "calls_without_deadline": (112, "loop"),
    "failed_launches_are_kept": (19, "records"),
}
"""Sabotages that few scenarios expose: the first seed that does, and the check that must fail."""


@pytest.mark.parametrize("seed", SEEDS)
def test_random_run_violates_no_check(seed):
    outcome = run(seed)

    assert outcome.invariant is None, f"{outcome.text}\nagain: {outcome.command}\n\n{outcome.story}"


@pytest.mark.parametrize("sabotage", PLAIN_SABOTAGES)
def test_broken_provider_is_detected(sabotage):
    for seed in range(CAUGHT_WITHIN):
        outcome = run(seed, sabotage=sabotage)
        if outcome.invariant is not None:
            break

    assert outcome.invariant in PLAIN_SABOTAGES[sabotage].split(" or "), outcome.text


@pytest.mark.parametrize("sabotage", RARE_SABOTAGES)
def test_rare_defect_is_detected(sabotage):
    seed, check = RARE_SABOTAGES[sabotage]

    assert run(seed, sabotage=sabotage).invariant == check


@pytest.mark.parametrize("seed", [15, 31])
def test_story_is_the_same_for_the_same_seed(seed):
    assert run(seed).story == run(seed).story


def test_run_starts_no_thread(monkeypatch):
    started: list[str] = []
    start = threading.Thread.start

    def note(thread: threading.Thread) -> None:
        started.append(thread.name)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", note)

    run(269)  # its cluster has workers of several types

    assert started == []


@pytest.mark.timeout(120)
def test_story_does_not_depend_on_the_hash_seed():
    root = Path(__file__).resolve().parents[3]
    stories = {
        subprocess.run(
            [sys.executable, "-m", "tests.simulation.random_runs", "--seed", "15"],
            cwd=root,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            timeout=60,
        ).stdout
        for hash_seed in ("1", "2")
    }

    (story,) = stories
    assert "all invariants held" in story


def test_scenarios_differ_and_cover_all_incidents():
    scenarios = [scenario(seed) for seed in range(400)]

    assert {incident.what for one in scenarios for incident in one.incidents} >= {*INCIDENTS, *LATER_INCIDENTS}
    assert {one.autoscaler for one in scenarios} == {"v1", "v2"}
    assert len({str(one) for one in scenarios}) == len(scenarios)
