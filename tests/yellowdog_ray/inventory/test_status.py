"""`raydog status`: nodes and pools of one cluster, from the platform alone."""

import pytest
import yaml
from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE

from tests.yellowdog_ray.cluster_lab import grow, make_head
from tests.yellowdog_ray.inventory.conftest import add_strangers_work
from yellowdog_local import faults
from yellowdog_ray.inventory.status import NODE_TYPE_TAG


def test_status_shows_each_node_with_its_machine(raydog, with_workers):
    with_workers("demo", 2)

    shape = raydog.json("status", "demo")

    head, first, second = shape["nodes"]
    assert (head["kind"], head["type"], head["phase"]) == ("head", "head", "running")
    assert [(node["kind"], node["type"], node["phase"]) for node in (first, second)] == [
        ("worker", "cpu", "running")
    ] * 2
    assert first["privateAddress"]
    assert first["machineType"]
    assert first["spot"] is False
    assert first["ageSeconds"] is not None
    assert [(pool["type"], pool["status"], pool["instances"]) for pool in shape["pools"]] == [
        ("head", "RUNNING", {"RUNNING": 1}),
        ("cpu", "RUNNING", {"RUNNING": 2}),
    ]
    assert shape["cluster"]["state"] == "up"
    assert any("back-offs" in line for line in shape["unknownWithoutHead"])


def test_status_takes_at_most_five_calls_of_a_known_namespace(local, raydog, with_workers):
    with_workers("demo", 3)
    mark = local.calls.mark()

    raydog.json("status", "demo", "--namespace", "demo")

    assert local.calls.count("*", since=mark) <= 5


def test_status_names_the_reason_of_a_pending_node(local, raydog, with_workers):
    cluster = with_workers("demo", 0)

    with local.faults.during(faults.Capacity(limit=1)):
        grow(cluster, 1)
        local.advance(5)
        result = raydog.run("status", "demo")

    assert result.exit_code == 0
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("cpu-"))
    assert "pending" in line
    assert "InsufficientInstanceCapacity" in line


def test_status_finds_the_cluster_of_a_yaml(raydog, make_cluster, cluster_yaml, tmp_path):
    make_head(make_cluster("demo"))
    (tmp_path / "raydog.yaml").write_text(yaml.safe_dump(cluster_yaml))

    result = raydog.run("status", "raydog.yaml")

    assert result.exit_code == 0
    assert result.stdout.startswith("cluster demo in namespace demo: starting")


@pytest.mark.parametrize("options", [(), ("--namespace", "demo")])
def test_status_of_a_strangers_work_reports_no_cluster(local, raydog, options):
    add_strangers_work(local, "ray")

    result = raydog.run("status", "ray", *options)

    assert result.exit_code == 1
    assert "cluster 'ray'" in result.stderr


@pytest.mark.parametrize(
    ("argument", "phrase"),
    [("No Name", "neither a YAML nor"), ("missing.yaml", "cannot be read"), ("x.yaml", "missing")],
)
def test_status_refuses_an_argument_that_names_no_cluster(raydog, tmp_path, monkeypatch, argument, phrase):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text("a: 1")

    result = raydog.run("status", argument)

    assert result.exit_code == 2
    assert phrase in result.stderr


@pytest.mark.usefixtures("local")
def test_watch_repeats_until_it_is_interrupted(raydog, with_workers, monkeypatch):
    with_workers("demo", 0)
    pauses = iter([None])

    def sleep(_):
        if next(pauses, "interrupted"):
            raise KeyboardInterrupt

    monkeypatch.setattr("raydog_cli.clusters.time.sleep", sleep)

    result = raydog.run("status", "demo", "--watch")

    assert result.exit_code == 0
    assert result.stdout.count("cluster demo in namespace demo: up") == 2


def test_node_type_tag_is_rays():
    assert NODE_TYPE_TAG == TAG_RAY_USER_NODE_TYPE
