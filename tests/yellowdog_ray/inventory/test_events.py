"""`raydog events` and `raydog logs`: the past that the platform keeps, and what it does not."""

import pytest

from tests.yellowdog_ray.cluster_lab import grow
from yellowdog_local import faults


@pytest.fixture
def with_failed_worker(local, with_workers):
    """A cluster one of whose workers failed; returns the worker's id."""
    cluster = with_workers("demo", 0, cluster_lifetime_hours=24)
    with local.faults.during(faults.TaskExits(task="cpu-*", exit_code=3)):
        (worker,) = grow(cluster, 1)
        local.advance(60)
    return worker


def test_events_are_a_timeline_of_work_pools_machines_and_tasks(raydog, with_failed_worker):
    events = raydog.json("events", "demo")["events"]

    times = [event["time"] for event in events if event["time"]]
    assert times == sorted(times)
    texts = [event["event"] for event in events if event["node"] == with_failed_worker]
    assert [text.split(" ")[0] for text in texts[:3]] == ["instance", "machine", "its"]
    assert any("exit code 3" in text for text in texts)
    assert "its task ended: failed" in texts
    assert {"created", "provisioned"} <= {event["event"] for event in events}


def test_events_of_an_ended_cluster_are_shown_with_its_namespace(local, raydog, with_workers):
    cluster = with_workers("demo", 0)
    cluster.platform.cancel_work_requirement(cluster.find().id)
    local.advance(60)

    result = raydog.run("events", "demo", "--namespace", "demo")

    assert result.exit_code == 0
    assert "cancelled" in result.stdout
    assert "not kept by YellowDog: launch requests" in result.stderr
    assert raydog.json("status", "demo", "--namespace", "demo")["cluster"]["state"] == "ended"


def test_logs_show_error_and_place_of_output_of_a_failed_node(raydog, with_failed_worker):
    result = raydog.run("logs", "demo")

    assert result.exit_code == 0
    assert f"node {with_failed_worker} (cpu): failed" in result.stdout
    assert "exit code 3" in result.stdout
    assert "head-" not in result.stdout


def test_logs_of_a_living_node_name_the_file_on_its_machine(raydog, with_workers):
    head = with_workers("demo", 0).refresh().head

    (log,) = raydog.json("logs", "demo", head.id)["nodes"]

    assert log["output"].startswith("/var/opt/yellowdog/agent/data/workers/ydid_task")
    assert log["errors"] == []


@pytest.mark.parametrize("command", [("events", "demo", "--node", "nobody"), ("logs", "demo", "nobody")])
def test_unknown_node_is_reported(raydog, with_workers, command):
    with_workers("demo", 0)

    result = raydog.run(*command)

    assert result.exit_code == 1
    assert "'nobody'" in result.stderr
