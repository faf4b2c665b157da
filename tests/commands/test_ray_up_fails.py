"""`ray up` that fails: it names what it leaves, with the command that removes it, or leaves nothing."""

import pytest
import ray
from ray.autoscaler._private import commands
from yellowdog_client.model import WorkRequirementSearch

from tests.commands.account import NAME
from tests.commands.laptop import assert_one_clear_message
from tests.simulation.trouble import Trouble
from yellowdog_ray.commands import reconfigure, versions
from yellowdog_ray.commands.versions import OnHead, Versions
from yellowdog_ray.node.ray_versions import has_tokens

ADD_TASKS = "POST /work/taskGroups/*/tasks"


def left(result) -> list[str]:
    """The lines about what is left."""
    return [line.partition("] ")[2] for line in result.output.splitlines() if "left on YellowDog" in line]


def assert_removable(laptop, account) -> None:
    assert laptop.down().exit_code == 0
    account.assert_nothing_left()


@pytest.mark.parametrize(
    ("call", "kind", "what"),
    [
        ("POST /workerPools/provisioned/template", "400", [f"work requirement {NAME}"]),
        ("POST /workerPools/provisioned/template", "500", [f"work requirement {NAME}"]),
        (ADD_TASKS, "500", [f"work requirement {NAME}", f"worker pool {NAME}-head-"]),
    ],
)
def test_failed_ray_up_names_what_it_leaves(laptop, account, wire, call, what, kind):
    with wire.trouble(kind, call):
        up = laptop.up()

    assert_one_clear_message(up)
    (line,) = left(up)
    for name in what:
        assert name in line
    assert f"`ray down {laptop.file}` removes it" in line
    assert_removable(laptop, account)


def test_ray_up_names_what_it_leaves_when_the_platform_fails_during_the_wait(laptop, account, wire):
    outage = Trouble("500")
    with wire.interrupted("ray up", ADD_TASKS, lambda: wire.add(outage), applied=True):
        up = laptop.up()
    wire.remove(outage)

    assert_one_clear_message(up)
    (line,) = left(up)
    assert f"worker pool {NAME}-head-" in line
    assert_removable(laptop, account)


def test_ray_up_names_what_it_leaves_when_set_up_fails(laptop, account, monkeypatch):
    monkeypatch.setattr(commands.NodeUpdaterThread, "exitcode", 1)

    up = laptop.up()

    assert up.exit_code == 1
    assert len(left(up)) == 1
    assert_removable(laptop, account)


def test_ray_up_leaves_nothing_when_raydog_cannot_run_on_the_head(laptop, account, monkeypatch):
    """Ray has not started yet."""
    old = OnHead(Versions("3.9.18", versions.here().ray), None)
    monkeypatch.setattr(versions, "on", lambda *_: old)
    set_up = []
    monkeypatch.setattr(commands.NodeUpdaterThread, "start", set_up.append)

    up = laptop.up()

    assert_one_clear_message(up, "the head has Python 3.9.18, and RayDog")
    assert set_up == []
    assert left(up) == []
    account.assert_nothing_left()


@pytest.mark.skipif(not has_tokens(ray.__version__), reason="this version of Ray has no tokens")
def test_ray_up_refuses_a_running_head_whose_raydog_is_too_old(laptop, account, monkeypatch):
    """Its autoscaler launches workers that get no token, and does not take the package that is sent."""
    assert laptop.up().exit_code == 0
    old = OnHead(versions.here(), "2.0.0", has_token_service=False)
    monkeypatch.setattr(versions, "on", lambda *_: old)
    monkeypatch.setattr(reconfigure, "CURRENT", "an entry that its task script does not have")

    again = laptop.up()

    assert_one_clear_message(again, "the head has RayDog 2.0.0, which gives workers no token")
    assert_removable(laptop, account)


def test_ray_up_names_nothing_when_nothing_was_created(laptop, account, wire):
    with wire.trouble("400", "POST /work/requirements"):
        up = laptop.up()

    assert_one_clear_message(up)
    assert left(up) == []
    account.assert_nothing_left()


def test_ray_up_names_nothing_after_it_has_removed_everything(laptop, account, world):
    world.fault("task-exits", task="head-*", exit_code=1)

    up = laptop.up()

    assert_one_clear_message(up, "task ended at")
    assert left(up) == []
    account.assert_nothing_left()


def test_failed_ray_up_removes_its_pool_when_its_work_requirement_has_ended(laptop, account, wire, world):
    def cancel() -> None:
        client = world.lab.client()
        search = WorkRequirementSearch(name=NAME, namespace="demo")
        (work,) = [work for work in client.work_client.get_work_requirements(search).list_all() if work.name == NAME]
        client.work_client.cancel_work_requirement_by_id(work.id, abort=True)
        client.close()

    with wire.interrupted("ray up", "GET /compute/instances", cancel, applied=True):
        up = laptop.up()

    assert_one_clear_message(up)
    assert left(up) == []
    account.assert_nothing_left()


def test_ray_up_names_nothing_when_it_succeeds(laptop, account):
    up = laptop.up()

    assert left(up) == []


class TestRestartOnly:
    def test_restart_only_is_refused_where_the_heads_task_runs_ray(self, laptop, account, wire):
        laptop.up()
        wire.clear()

        again = laptop.up(options=["--restart-only"])

        assert_one_clear_message(again, "`ray up --restart-only` cannot restart Ray")
        assert wire.changes == []
        account.assert_one_cluster()

    def test_second_ray_up_reports_that_it_restarts_nothing(self, laptop, account):
        laptop.up()

        again = laptop.up()

        assert again.exit_code == 0, again.output
        assert "Ray on the head runs on" in again.output
