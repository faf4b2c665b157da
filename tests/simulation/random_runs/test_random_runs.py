"""Some random runs; that their checks can fail; and that a seed always gives the same story."""

import os
import subprocess
import sys
import threading
from pathlib import Path
from unittest.mock import Mock

import pytest

from tests.selection import EXHAUSTIVE
from tests.simulation.platform_invariants import Witness
from tests.simulation.random_runs.draw import scenario
from tests.simulation.random_runs.runs import run
from tests.simulation.random_runs.sabotage import SABOTAGES
from tests.simulation.random_runs.scenario import COPY, HEAD_PROCESSES, INCIDENTS, LATER_INCIDENTS
from yellowdog_local.state.profiles import assume

pytestmark = pytest.mark.search

SEEDS = range(40 if EXHAUSTIVE else 10)

DETECTED = {
    "neighbours_pools_too": (0, "neighbours"),
    "partial_listing": (29, "omitted"),
    "listing_raises": (1, "loop"),
    "early_ends_count_for_nothing": (29, "pace"),
    "pools_survive": (0, "left"),
    "waits_in_the_loop": (0, "loop"),
    "copies_are_listed": (0, "stranger"),
    "the_heads_clock_counts": (0, "deadline"),
    "searches_are_believed": (1, "commands"),
    "ended_nodes_stay_listed": (14, "stale"),
    "unreadable_instances_stop_the_teardown": (8, "left"),
    "unnamed_pools_are_never_made": (0, "left"),
    "tags_are_believed": (0, "loop"),
    "identity_is_taken_from_the_tag_store": (17, "stranger"),
    "addresses_are_read_once": (0, "commands"),
    "nonsense_is_nothing": (62, "omitted"),
    "new_pools_survive": (9, "left"),
    "launches_go_on": (9, "ended"),
    "ending_is_ended": (145, "left"),
    "calls_without_timeout": (1, "loop"),
    "calls_without_deadline": (112, "loop"),
    "failed_launches_are_kept": (19, "records"),
    "outages_leave_their_back_off": (55, "resume"),
    "requests_are_lost": (50, "mistake"),
    "drivers_count_for_nothing": (5_000_006, "home"),
    "idle_end_needs_a_listing": (5_000_002, "home"),
    "idle_end_stops_in_the_middle": (5_000_002, "home"),
    "killed_idle_end_is_forgotten": (5_000_029, "home"),
    "killed_idle_end_is_never_withdrawn": (5_000_016, "home"),
}
"""Sabotages of the provider, the first seed whose run detects each, and the check that must fail. All sabotages, over
300 seeds: `scripts/chaos --sabotages`."""


@pytest.mark.parametrize("seed", SEEDS)
def test_random_run_violates_no_check(seed):
    outcome = run(seed)

    assert outcome.invariant is None, f"{outcome.text}\nagain: {outcome.command}\n\n{outcome.story}"


ASSUMPTIONS = [
    (20249, []),  # a first listing without the head
    (20377, []),  # an empty answer to added tasks, which were sent again without end
    (20430, []),  # an old worker ended the back-off that new ones had caused
    (40170, []),  # workers joined while they were terminated
    (40673, []),  # a launch that hung was followed by one too many
    (41085, []),  # a replacement that was launched twice had two launch requests
    (700021, ["lost_node_terminates_instance=false"]),
    (700036, ["instance_death_noticed_seconds=90"]),
    (700044, ["instance_death_noticed_seconds=90"]),
    (700030, ["reuse_finished_names=false", "retention_seconds=60", "max_nodes_limit=3", "max_tasks_per_call=2"]),
    (700044, ["reuse_finished_names=false"]),
    (980011, ["retention_seconds=6"]),
    (92000, ["count_expired_tasks=false", "retention_seconds=6"]),  # a check counted removed tasks
    (992006, ["max_nodes_limit=1"]),  # a check did not allow the calls of five pools
    (994004, ["instance_death_noticed_seconds=300"]),  # a check did not wait for the end of a worker pool
    (995009, ["instance_death_noticed_seconds=300"]),  # another one, after a `ray down` to which no pool was shown
]
"""Seeds and settings with which a run once failed."""


@pytest.mark.parametrize(("seed", "words"), ASSUMPTIONS)
def test_random_run_violates_no_check_on_another_platform(seed, words):
    outcome = run(seed, settings=assume(words))

    assert outcome.invariant is None, f"{outcome.text}\nagain: {outcome.command}\n\n{outcome.story}"
    assert all(f"--assume {word}" in outcome.command for word in words)


def test_assertion_of_a_platform_check_is_a_failed_scenario(monkeypatch):
    monkeypatch.setattr(Witness, "look", Mock(side_effect=AssertionError("3 == 2")))

    outcome = run(31)

    assert (outcome.invariant, outcome.text) == ("platform", "AssertionError: 3 == 2")
    assert "Traceback" in outcome.story


@pytest.mark.parametrize("sabotage", DETECTED)
def test_broken_provider_is_detected(sabotage):
    seed, check = DETECTED[sabotage]

    outcome = run(seed, sabotage=sabotage)

    assert outcome.invariant == check, outcome.text


@pytest.mark.parametrize("sabotage", SABOTAGES)
def test_sabotage_replaces_what_exists(sabotage, monkeypatch):
    SABOTAGES[sabotage](monkeypatch)


def test_story_is_the_same_for_the_same_seed():
    assert run(31).story == run(31).story


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
    command = [sys.executable, "-m", "tests.simulation.random_runs", "--seed", "15"]
    root, other = Path(__file__).resolve().parents[3], {**os.environ, "PYTHONHASHSEED": "1"}  # here it is random

    done = subprocess.run(command, cwd=root, env=other, capture_output=True, text=True, timeout=60, check=False)

    story, _, verdict = done.stdout.rpartition("\n\n")
    assert story == run(15).story
    assert "all invariants held" in verdict


def test_scenarios_differ_and_cover_all_incidents():
    scenarios = [scenario(seed) for seed in range(400)]

    assert {incident.what for one in scenarios for incident in one.incidents} >= {
        *INCIDENTS,
        *LATER_INCIDENTS,
        COPY,
        *HEAD_PROCESSES,
    }
    assert {one.autoscaler for one in scenarios} == {"v1", "v2"}
    assert len({str(one) for one in scenarios}) == len(scenarios)
