"""`raydog events` and `raydog logs`: what they print of the past."""

import pytest


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


def test_logs_of_a_healthy_cluster_are_no_error(raydog, with_workers):
    with_workers("demo", 0)

    result = raydog.run("logs", "demo")

    assert result.exit_code == 1
    assert result.stderr.startswith("no node has failed")
    assert "`raydog logs demo NODE`" in result.stderr


@pytest.mark.parametrize("command", [("events", "demo", "--node", "nobody"), ("logs", "demo", "nobody")])
def test_unknown_node_is_reported(raydog, with_workers, command):
    with_workers("demo", 0)

    result = raydog.run(*command)

    assert result.exit_code == 1
    assert "'nobody'" in result.stderr
