"""The options of `scripts/chaos` that change settings of the platform."""

import json
import sys

import pytest

from tests.programs import run_program
from tests.simulation.random_runs import __main__ as command
from tests.simulation.random_runs.runs import Outcome
from yellowdog_local.state.settings import Settings


@pytest.fixture
def orders(monkeypatch):
    """The orders that the command gives; none is run."""
    given = []

    def note(order):
        given.append(order)
        return Outcome(order.seed, "v2", None, "", "", 0.0, 0, order.settings)

    monkeypatch.setattr(command, "run_order", note)
    return given


@pytest.fixture
def chaos(monkeypatch):
    """Runs the command in this process."""

    def run(*options):
        monkeypatch.setattr("sys.argv", ["scripts/chaos", *map(str, options)])
        return command.main()

    return run


@pytest.fixture
def profile(tmp_path):
    """A profile file with these values."""

    def write(**values):
        file = tmp_path / "profile.json"
        file.write_text(json.dumps(values))
        return file

    return write


def test_profile_and_words_change_the_settings(chaos, orders, profile):
    file = profile(reuse_finished_names=False, retention_seconds=60)

    assert chaos("--seed", 1, "--profile", file, "--assume", "retention_seconds=6") == 0

    (order,) = orders
    assert order.settings == Settings(reuse_finished_names=False, retention_seconds=6)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"retention_second": 60}, "unknown setting 'retention_second': did you mean 'retention_seconds'?"),
        ({"retention_seconds": "60"}, 'retention_seconds: Input should be a valid number, and is "60"'),
    ],
)
def test_invalid_profile_is_refused_before_any_run(chaos, orders, profile, capsys, values, reason):
    file = profile(**values)

    assert chaos("--seed", 1, "--profile", file) == 2

    assert capsys.readouterr().err == f"scripts/chaos: {file}: {reason}\n"
    assert orders == []


@pytest.mark.parametrize("options", [(), ("--scenarios", 3, "--jobs", 1)], ids=["one", "many"])
def test_settings_with_which_no_cluster_can_exist_are_refused_in_one_line(chaos, capsys, options):
    assert chaos("--seed", 1, *options, "--assume", "max_task_data_bytes=1") == 2

    reason = capsys.readouterr().err
    assert reason.startswith("scripts/chaos: no cluster can exist with max_task_data_bytes=1: ")
    assert "taskData must not be more than 1 bytes" in reason
    assert reason.count("\n") == 1


def test_all_assumptions_run_each_value_as_often_as_requested_and_print_a_table(chaos, orders, capsys):
    assert chaos("--all-assumptions", "--seeds-per-value", 2, "--seed", 100, "--jobs", 1) == 0

    assert [order.seed for order in orders] == list(range(100, 100 + len(orders)))
    assert sum(order.settings == Settings(lists_newest_first=True) for order in orders) >= 2
    table = capsys.readouterr().out
    assert "| setting | value | scenarios | failures |" in table
    assert "| lists_newest_first | true | 2 | 0 |" in table
    assert "| random pairs |  | 20 | 0 |" in table


def test_failures_are_counted_by_value(chaos, monkeypatch, tmp_path, capsys):
    def fail(order):
        check = "left" if order.settings.lists_newest_first else None
        return Outcome(order.seed, "v2", check, "left: a pool", "the story", 0.0, 0, order.settings)

    monkeypatch.setattr(command, "run_order", fail)

    assert chaos("--all-assumptions", "--seeds-per-value", 1, "--jobs", 1, "--stories", tmp_path) == 1

    output = capsys.readouterr().out
    assert "| lists_newest_first | true | 1 | 1 |" in output
    assert "| default_slice_size | 1 | 1 | 0 |" in output
    assert "again: scripts/chaos --seed" in output


def test_runs_of_several_processes_are_all_reported():
    program = [sys.executable, "-m", command.__package__, "--seed", "60000", "--scenarios", "2", "--jobs", "2"]

    done = run_program(program, seconds=50)

    assert done.returncode == 0, done.stdout
    assert "2 of 2 scenarios, 0 failed" in done.stdout
