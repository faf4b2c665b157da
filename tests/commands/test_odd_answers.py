"""`raydog` commands that only read, while YellowDog's lists lag, or its answers have values that none should have."""

import json
import random
import re

import pytest
from typer.testing import CliRunner

from raydog_cli.main import app
from tests.commands.account import BOOT, NAME, NAMESPACE, OTHER_CLUSTERS
from tests.selection import EXHAUSTIVE
from tests.simulation.distortions import Manners
from tests.simulation.ray_commands import make_workers
from yellowdog_ray.clock import SystemClock

COMMANDS = [
    ("list",),
    ("status", NAME),
    ("why", NAME),
    ("events", NAME),
    ("logs", NAME),
    ("gc", "--dry-run"),
]
ODD = "my-ray"
"""Another cluster of the namespace, whose work requirement is odd."""
STRANGER = "ray-head"
"""A stranger's work requirement and pool of the namespace."""

RUNS = 2_000 if EXHAUSTIVE else 250
VALUES = (
    *(None, "", 0, -1, 10**30, 10**400, 1.5, True, [], {}, [1], [None], ["x"], {"a": 1}),
    *("NEW_VALUE", "\x1b[31mred\x07\n", "x" * 5_000, "\ud800", "not a date", "P1D", "P1Y", "P99999999D", "-P1D"),
    *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-01-01T00:00:00"),
)


class Edited(Manners):
    """A platform whose answers are edited before they are sent."""

    def __init__(self, edit):
        super().__init__()
        self.edit = edit

    def shape(self, call, body, now):
        value = json.loads(body) if body else None
        return json.dumps(self.edit(call, value)).encode() if isinstance(value, dict) else body


@pytest.fixture
def raydog(world, monkeypatch):
    """A command of `raydog` for the namespace, on the platform's clock."""
    monkeypatch.setattr(SystemClock, "sleep", lambda _, seconds: world.lab.advance(seconds))
    monkeypatch.setattr(SystemClock, "now", lambda _: world.lab.clock.now())

    def run(*arguments):
        world.wire.clear()
        with world.processes.inside(world.laptop(f"raydog {arguments[0]}")):
            return CliRunner().invoke(app, [*arguments, "--namespace", NAMESPACE])

    return run


@pytest.fixture
def cluster(laptop, world):
    """A cluster with a worker that lives and one that has failed."""
    assert laptop.up().exit_code == 0
    with world.processes.inside(world.laptop("workers")):
        make_workers(laptop.yaml, {"worker": 1})
        world.lab.advance(BOOT)
        world.fault("task-exits", task="worker-*", exit_code=3)
        make_workers(laptop.yaml, {"worker": 2})
    world.lab.advance(BOOT)


def assert_no_bug(result):
    """The command has ended with a documented exit code, and shows no traceback or control character."""
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code in (0, 1, 2)
    assert not {"\x1b", "\x07"} & set(result.output)
    assert "Traceback" not in result.output


def of_another(**fields):
    """Gives another cluster's work requirement these fields, in lists and by itself."""

    def edit(call, value):
        if "/work/" in call:
            for item in value.get("items", [value]):
                if item.get("name") == ODD:
                    item.update({name: field for name, field in fields.items() if name != "taskTimeout"})
                    for group in item.get("taskGroups") or ():
                        group["runSpecification"]["taskTimeout"] = fields.get("taskTimeout", "PT1H")
        return value

    return edit


@pytest.mark.parametrize(
    "fields",
    [
        {"createdTime": "9999-12-31T23:59:59Z"},
        {"createdTime": "0001-01-01T00:00:00Z"},
        {"taskTimeout": "P99999999D"},
        {"taskTimeout": "P1Y"},
        {"name": "\ud800"},
    ],
)
def test_list_shows_the_other_clusters_beside_an_odd_work_requirement(raydog, account, world, fields):
    world.wire.manners = Edited(of_another(**fields))

    shown = json.loads(raydog("list", "--json").stdout)

    assert {one["name"] for one in shown["clusters"]} | {ODD} == set(OTHER_CLUSTERS)
    assert raydog("gc", "--dry-run").exit_code == 0


def with_new_value(listing):
    """Gives a stranger's entry of a list, and what it shows by itself, a status or a source that is new."""

    def edit(call, value):
        if call.startswith(listing):
            for item in value.get("items", [value]):
                if item.get("name") == STRANGER and listing == "GET /compute/requirements":
                    for source in item["provisionStrategy"]["sources"]:
                        source["instanceSummary"] = {"statusCounts": {"HIBERNATED": 1}}
                elif item.get("name") == STRANGER:
                    item["status"] = "ARCHIVED"
        return value

    return edit


@pytest.mark.parametrize("listing", ["GET /work/requirements", "GET /workerPools", "GET /compute/requirements"])
@pytest.mark.parametrize("command", [("list",), ("gc", "--dry-run")], ids=" ".join)
@pytest.mark.usefixtures("account")
def test_command_continues_beside_a_strangers_new_value(raydog, world, command, listing):
    world.wire.manners = Edited(with_new_value(listing))
    began = world.seconds

    result = raydog(*command)

    assert result.exit_code == 0
    if listing == "GET /work/requirements" or (command[0], listing) == ("gc", "GET /workerPools"):
        assert "yellowdog-sdk does not have this value: upgrade it" in result.stderr
    if command == ("list",):
        assert all(name in result.stdout for name in OTHER_CLUSTERS)
    assert world.seconds - began < 2


@pytest.mark.parametrize("field", ["createdTime", "taskTimeout"])
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.usefixtures("cluster", "account")
def test_command_shows_the_rest_of_a_cluster_with_an_odd_time(raydog, world, command, field):
    """Its end is unknown then."""

    def edit(call, value):
        for item in value.get("items", [value]):
            if item.get("name") == NAME and "createdTime" in item:
                if field == "createdTime":
                    item[field] = "9999-12-31T23:59:59Z"
                for group in item.get("taskGroups") or ():
                    group["runSpecification"]["taskTimeout"] = "P99999999D"
        return value

    world.wire.manners = Edited(edit)

    result = raydog(*command)

    assert_no_bug(result)
    assert result.exit_code == 0


@pytest.mark.parametrize("errors", [[None], ["x"], "x", {"a": 1}])
@pytest.mark.parametrize("command", [("events", NAME), ("logs", NAME), ("why", NAME)], ids=" ".join)
@pytest.mark.usefixtures("cluster", "account")
def test_command_shows_the_rest_of_a_task_with_odd_errors(raydog, world, command, errors):
    def edit(call, value):
        for item in value.get("items", []) if "/work/tasks" in call else []:
            item["errors"] = errors
        return value

    world.wire.manners = Edited(edit)

    result = raydog(*command)

    assert_no_bug(result)
    assert result.exit_code == (1 if (command[0], errors) == ("logs", [None]) else 0)


def lagging(*names_left_out):
    """Leaves work requirements of these names out of lists; all of them without a name."""

    def edit(call, value):
        if call == "GET /work/requirements":
            value["items"] = [item for item in value["items"] if names_left_out and item["name"] not in names_left_out]
        return value

    return Edited(edit)


@pytest.mark.parametrize("left_out", [(), (ODD,)])
@pytest.mark.usefixtures("account")
def test_list_shows_a_cluster_that_the_search_leaves_out(raydog, world, left_out):
    world.wire.manners = lagging(*left_out)

    shown = raydog("list")

    assert shown.exit_code == 0
    assert all(name in shown.stdout for name in OTHER_CLUSTERS)
    assert f"{ODD}-head-" not in shown.output


@pytest.mark.parametrize("left_out", [(), (ODD,)])
@pytest.mark.usefixtures("account")
def test_gc_gives_no_advice_to_end_a_living_cluster_that_the_search_leaves_out(raydog, world, left_out):
    world.lab.advance(700)
    world.wire.manners = lagging(*left_out)

    result = raydog("gc", "--dry-run")

    assert result.exit_code == 0
    assert "nothing to remove" in result.stdout
    assert "my-ray-head-" not in result.stderr
    assert "ray-head-0badcafe" in result.stderr


@pytest.mark.parametrize("command", ["list", "gc"])
@pytest.mark.usefixtures("account")
def test_command_reports_that_a_cluster_was_not_read_when_neither_list_nor_name_shows_it(raydog, world, wire, command):
    world.wire.manners = lagging(ODD)

    with wire.trouble("403", f"GET /work/namespaces/*/requirements/{ODD}"):
        result = raydog(command, *["--dry-run"] * (command == "gc"))

    assert result.exit_code == 1
    assert "not read" in result.stderr
    assert "no living cluster" not in result.stderr
    assert not re.search(r"RayDog's: [^.]*my-ray-head", result.stderr)


def _places(value, at=()):
    yield at
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        yield from _places(part, (*at, key))


def _spoil(value, chance):
    """Replace or remove one value of an answer."""
    at = chance.choice(list(_places(value))[1:] or [()])
    if at:
        parent = value
        for key in at[:-1]:
            parent = parent[key]
        if isinstance(parent, dict) and chance.random() < 0.25:
            del parent[at[-1]]
        else:
            parent[at[-1]] = chance.choice(VALUES)
    return value


@pytest.mark.search
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(4 if EXHAUSTIVE else 1))
@pytest.mark.usefixtures("cluster", "account")
def test_no_value_of_an_answer_makes_a_command_fail_with_a_traceback(raydog, world, seed):
    chance = random.Random(seed)
    for number in range(RUNS):
        command = [*chance.choice(COMMANDS), *["--json"] * (chance.random() < 0.5)]
        left = [chance.randrange(9)]

        def edit(call, value, left=left):
            left[0] -= 1
            return _spoil(value, chance) if left[0] == -1 else value

        world.wire.manners = Edited(edit)
        result = raydog(*command)
        assert world.wire.changes == [], (number, command)
        assert_no_bug(result)
