"""`raydog why` on demand, limits and idle workers that the head has published."""

import pytest

from tests.yellowdog_ray.inventory.conftest import CPU, CPUS, publish
from yellowdog_ray.cluster.published import BackOffState, NodeTypeState, Notice, Shape


def test_unmet_min_workers_count_as_demand(scene, raydog):
    kinds = {"cpu": CPU["cpu"].model_copy(update={"min_workers": 2})}
    now = scene.cluster.platform.clock.now()
    failing = BackOffState(node_type="cpu", code="NoCapacity", reason="none", failures=2, until=now)
    publish(scene.cluster, max_workers=9, node_types=kinds, demand=[], back_offs=[failing])

    found = {each["code"]: each for each in raydog.json("why", "demo", "--namespace", "demo")["findings"]}

    assert found.keys() == {"backed-off-NoCapacity", "min-workers-missing"}
    assert "cpu: 0 of 2" in found["min-workers-missing"]["evidence"]


@pytest.mark.parametrize(("most_of_type", "most"), [(2, 9), (9, 2)])
@pytest.mark.parametrize(("count", "troubles"), [(2, 0), (3, 1)])
def test_growth_to_a_limit_is_no_trouble_while_the_workers_that_start_suffice(
    scene, raydog, most_of_type, most, count, troubles
):
    kinds = {"cpu": NodeTypeState(max_workers=most_of_type, resources={"CPU": 1.0}, alive=0, idle=0)}
    publish(scene.cluster, max_workers=most, node_types=kinds, demand=[Shape(resources={"CPU": 1.0}, count=count)])
    scene.workers(2, 2)

    found = raydog.json("why", "demo", "--namespace", "demo")["findings"]

    assert sum(each["isTrouble"] for each in found) == troubles
    assert ("workers-start" in {each["code"] for each in found}) == (troubles == 0)


@pytest.mark.parametrize(
    ("selector", "code"),
    [
        ("spot", "demand-is-new"),
        ("on-demand", "infeasible"),
    ],
)
def test_selector_that_no_type_satisfies_is_infeasible(scene, raydog, selector, code):
    kinds = {"cpu": CPU["cpu"].model_copy(update={"labels": {"ray.io/market-type": "spot"}})}
    demand = [Shape(resources={"CPU": 1.0}, labels={"ray.io/market-type": selector}, count=2)]
    publish(scene.cluster, max_workers=9, node_types=kinds, demand=demand)

    assert [each["code"] for each in raydog.json("why", "demo", "--namespace", "demo")["findings"]] == [code]


def test_demand_that_only_the_head_can_hold_is_no_trouble(scene, raydog):
    head = NodeTypeState(max_workers=0, resources={"CPU": 2.0, "head_only": 1.0}, alive=1, idle=0)
    demand = [Shape(resources={"head_only": 1.0}, count=1)]
    publish(scene.cluster, max_workers=9, node_types={"head": head, **CPU}, demand=demand)

    (finding,) = raydog.json("why", "demo", "--namespace", "demo")["findings"]

    assert (finding["code"], finding["isTrouble"]) == ("no-more-nodes", False)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (NodeTypeState(min_workers=2, alive=2, idle=2, longest_idle_seconds=900.0, max_workers=9), "min-workers"),
        (NodeTypeState(alive=2, idle=1, longest_idle_seconds=20.0, max_workers=9), "idle-timeout"),
        (NodeTypeState(alive=2, idle=0, max_workers=9), "busy"),
    ],
)
def test_reason_of_nodes_that_stay_is_named(scene, raydog, kind, code):
    publish(
        scene.cluster,
        node_types={"cpu": kind},
        demand=[],
        idle_timeout_minutes=5.0,
        requested=CPUS,
        notices=[Notice(kind="idle", text="this cluster ends at 12:00")],
    )

    found = {each["code"]: each for each in raydog.json("why", "demo")["findings"]}

    assert {code, "requested", "announced-idle"} <= found.keys()
    assert {each["isTrouble"] for each in found.values()} == {False}
    assert found[code]["concerns"] == "shrinking"
