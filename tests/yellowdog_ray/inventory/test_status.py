"""`raydog status`: nodes and pools of one cluster, from the platform alone."""

from datetime import timedelta

from ray.autoscaler.tags import TAG_RAY_USER_NODE_TYPE

from tests.yellowdog_ray.cluster_lab import grow
from tests.yellowdog_ray.inventory.conftest import publish
from yellowdog_local import faults
from yellowdog_ray.cluster.published import BackOffState, Notice
from yellowdog_ray.errors import Unavailable
from yellowdog_ray.inventory.status import NODE_TYPE_TAG
from yellowdog_ray.platform.types import TaskView


def test_status_shows_each_node_with_its_machine(raydog, with_workers):
    with_workers("demo", 2)

    shape = raydog.json("status", "demo")

    head, first, second = shape["nodes"]
    assert (head["kind"], head["type"], head["phase"]) == ("head", "head", "running")
    assert [(node["kind"], node["type"], node["phase"]) for node in (first, second)] == [
        ("worker", "cpu", "running")
    ] * 2
    assert [node["reason"] for node in shape["nodes"]] == [None] * 3
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


def test_status_takes_at_most_five_calls_and_one_per_pool_of_a_known_namespace(local, raydog, with_workers):
    publish(with_workers("demo", 3))
    mark = local.calls.mark()

    raydog.json("status", "demo", "--namespace", "demo")

    assert local.calls.count("*", since=mark) <= 5 + len(["head", "cpu"])


def test_status_compares_no_node_with_each_other(raydog, with_workers, monkeypatch):
    with_workers("demo", 3)
    monkeypatch.setattr(TaskView, "__eq__", lambda *_: 1 / 0)  # 1,000 nodes took a third of a second for that

    assert len(raydog.json("status", "demo", "--namespace", "demo")["nodes"]) == 4


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


def test_node_type_tag_is_rays():
    assert NODE_TYPE_TAG == TAG_RAY_USER_NODE_TYPE


def test_status_shows_published_back_offs_with_the_next_try_and_their_age(local, raydog, with_workers):
    cluster = with_workers("demo", 0)
    until = local.clock.now() + timedelta(seconds=100)
    back_off = BackOffState(node_type="gpu", code="NotFound", reason="no such template", failures=3, until=until)
    publish(cluster, back_offs=[back_off], notices=[Notice(kind="idle", text="it ends soon")])
    local.advance(40)

    result = raydog.run("status", "demo")
    shape = raydog.json("status", "demo")

    (line,) = (line for line in result.stdout.splitlines() if line.startswith("gpu"))
    assert "in 1 min" in line or "in 59 s" in line
    assert "NotFound" in line
    assert "announced by the head 4" in result.stdout
    assert 39 <= shape["published"]["ageSeconds"] <= 49
    assert [each["nodeType"] for each in shape["published"]["backOffs"]] == ["gpu"]
    assert not any("back-offs" in line for line in shape["unknownWithoutHead"])


def test_unreadable_publications_do_not_hide_the_status(raydog, with_workers, monkeypatch):
    def fail(*_: object, **__: object) -> None:
        raise Unavailable("no answer")

    with_workers("demo", 1)
    monkeypatch.setattr("yellowdog_ray.platform.client.Platform.documents", fail)

    result = raydog.run("status", "demo")

    assert result.exit_code == 0
    assert "could not be read: no answer" in result.stderr
