"""`raydog why`: each planted cause is named with its remedy, and nothing else is blamed."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from tests.yellowdog_ray.cluster_lab import make_head
from tests.yellowdog_ray.inventory.conftest import CPU, CPUS, GPUS, Scene, publish
from tests.yellowdog_ray.inventory.planted import CAUSES, held
from yellowdog_local import faults
from yellowdog_ray.cluster.published import BackOffState, NodeTypeState, Notice, Shape
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.errors import PlatformError, RayDogError
from yellowdog_ray.inventory import target
from yellowdog_ray.inventory.account import Account
from yellowdog_ray.inventory.facts import gather
from yellowdog_ray.inventory.findings import _below, remedy_of
from yellowdog_ray.inventory.why import judge


@pytest.mark.parametrize("plant", CAUSES, ids=lambda plant: plant.__name__)
def test_planted_cause_is_named_with_its_remedy_and_no_other(scene, raydog, plant):
    plant(scene)
    code, remedy = CAUSES[plant]

    result = raydog.run("why", "demo", "--namespace", "demo")
    shape = raydog.json("why", "demo", "--namespace", "demo")

    assert result.exit_code == 0, result.output
    troubles = {finding["code"]: finding for finding in shape["findings"] if finding["isTrouble"]}
    assert list(troubles) == [code]
    assert remedy in troubles[code]["remedy"]
    assert troubles[code]["evidence"]
    assert f"[{code}]" in result.stdout
    assert remedy in result.stdout


def test_nothing_wrong_is_said(scene, raydog):
    scene.workers(1)
    busy = {"cpu": NodeTypeState(max_workers=10, resources={"CPU": 4.0}, alive=1, idle=0)}
    publish(scene.cluster, max_workers=9, node_types=busy, demand=[])

    result = raydog.run("why", "demo")

    assert result.exit_code == 0
    assert "nothing is wrong" in result.stdout
    assert "[no-demand]" in result.stdout
    assert "[busy]" in result.stdout
    assert "waiting in Ray" in result.stdout
    assert "not checked" not in result.stderr


def plant_all(scene: Scene) -> None:
    """A state that leads to findings of every kind while it holds."""
    scene.workers(2)
    now = scene.cluster.platform.clock.now()
    publish(
        scene.cluster,
        max_workers=2,
        idle_timeout_minutes=5.0,
        node_types={"cpu": NodeTypeState(max_workers=9, resources={"CPU": 4.0}, alive=2, idle=0)},
        demand=[*CPUS, *GPUS],
        requested=CPUS,
        back_offs=[BackOffState(node_type="cpu", code="NoCapacity", reason="none", failures=2, until=now)],
        notices=[Notice(kind="idle", text="this cluster ends")],
    )


def test_state_older_than_its_pace_is_shown_with_its_age_and_explains_nothing(scene, raydog):
    plant_all(scene)
    scene.local.advance(17 * 60)

    result = raydog.run("why", "demo", "--namespace", "demo")

    assert result.exit_code == 0, result.output
    assert raydog.json("why", "demo", "--namespace", "demo")["findings"] == []
    assert "ago, which may be over: 7 x {CPU: 1}" in result.stdout
    assert "min ago. Since then nothing has waited" in result.stderr


@pytest.mark.parametrize(("minutes", "is_dated"), [(1, False), (4, True)])
def test_finding_by_a_state_of_minutes_ago_has_its_time_first(scene, raydog, minutes, is_dated):
    publish(scene.cluster, max_workers=9, node_types=CPU, demand=GPUS)
    scene.local.advance(minutes * 60)

    (cause,) = [each["cause"] for each in raydog.json("why", "demo")["findings"] if each["code"] == "infeasible"]

    assert re.fullmatch(r"(at \d\d:\d\d UTC \(4 min ago\): )?no node type can hold \{GPU: 1\}", cause)
    assert cause.startswith("at ") == is_dated


def test_finding_by_a_state_has_its_time_first_when_a_worker_has_started_since(scene, raydog):
    publish(scene.cluster, max_workers=9, node_types=CPU, demand=GPUS)
    scene.local.advance(8)
    scene.workers(1)

    (cause,) = [each["cause"] for each in raydog.json("why", "demo")["findings"] if each["code"] == "infeasible"]

    assert re.match(r"at \d\d:\d\d UTC \(\d+ (s|min) ago\): no node type", cause)


def test_head_that_never_came_is_not_called_an_ended_one(local, raydog, make_cluster):
    refused = faults.Status(call="POST /work/taskGroups/*/tasks", status=500)
    with local.faults.during(refused), pytest.raises(PlatformError):
        make_head(make_cluster("demo"))
    local.advance(600)

    (finding,) = raydog.json("why", "demo", "--namespace", "demo")["findings"]

    assert finding["code"] == "head-missing"
    assert "never launched" in finding["cause"]


def test_state_from_before_the_heads_last_start_explains_nothing(scene):
    plant_all(scene)
    facts = gather(target.find(Account(), target.parse_target("demo", "demo")))
    assert facts.doubt is None
    later = tuple(replace(task, started=facts.state.started + timedelta(seconds=9)) for task in facts.head.tasks)
    pools = tuple(replace(pool, tasks=later) if pool.is_head else pool for pool in facts.pools)

    assert judge(facts)
    assert judge(replace(facts, pools=pools)) == ()
    assert "started again" in replace(facts, pools=pools).doubt


def test_head_that_publishes_nothing_is_said(scene, raydog):
    result = raydog.run("why", "demo")

    assert result.exit_code == 0
    assert "nothing is wrong" in result.stdout
    assert "not checked: Ray's demand" in result.stderr


def test_several_causes_are_all_named(scene, raydog):
    with scene.fault(faults.Capacity(limit=1)):
        scene.workers()
        more_than_they_hold = Shape(resources={"CPU": 1.0}, count=90)
        publish(scene.cluster, max_workers=2, node_types=CPU, demand=[more_than_they_hold, *GPUS])
        held(scene)
        shape = raydog.json("why", "demo")

    codes = [finding["code"] for finding in shape["findings"] if finding["isTrouble"]]
    assert {"held", "no-capacity", "infeasible", "max-workers"} <= set(codes)
    assert codes[0] == "held"


def test_part_that_cannot_be_read_is_named_and_the_rest_is_judged(scene, raydog):
    scene.publish_failure(NodeConfig(compute_requirement_template="demo/nonsense"))
    with scene.fault(faults.Status(call="GET /compute/requirements", status=403, message="not for this key")):
        result = raydog.run("why", "demo", "--namespace", "demo")

    assert result.exit_code == 1
    assert "[backed-off-NotFound]" in result.stdout
    assert "not checked: the machines of all pools" in result.stderr
    assert "not for this key" in result.stderr


@pytest.mark.parametrize("lagging", ["GET /work/requirements", "GET /compute/requirements", "GET /workerPools/nodes"])
def test_lists_that_lag_blame_nothing(scene, raydog, lagging):
    with scene.fault(faults.ListingLag(call=lagging, seconds=3600)):
        scene.workers(2)
        publish(scene.cluster, node_types=CPU, demand=[])
        shape = raydog.json("why", "demo", "--namespace", "demo")

    assert [finding for finding in shape["findings"] if finding["isTrouble"]] == []


def test_call_budget_is_five_and_one_for_each_pool(scene, local, raydog):
    scene.workers(3)
    publish(scene.cluster, node_types=CPU, demand=CPUS)
    mark = local.calls.mark()

    raydog.json("why", "demo", "--namespace", "demo")

    assert local.calls.count("*", since=mark) <= 5 + len(["head", "cpu"])


def test_machines_of_other_clusters_are_not_read(scene, with_workers, monkeypatch):
    with_workers("other", 1)
    found, read = target.find(Account(), target.parse_target("demo", "demo")), []
    live_computes = found.platform.live_computes
    monkeypatch.setattr(found.platform, "live_computes", lambda *search: read.extend(live_computes(*search)) or read)

    gather(found)

    assert [compute.name for compute in read] == [scene.cluster.groups[0].worker_tag]


def test_unknown_cluster_is_exit_code_1(local, raydog):
    assert raydog.run("why", "nobody", "--namespace", "demo").exit_code == 1


def test_every_code_of_a_back_off_has_a_remedy():
    for kind in {RayDogError, *_below(RayDogError)}:
        assert len(remedy_of(kind.code)) > len("none"), kind
