"""`raydog why`: each planted cause is named with its remedy, and nothing else is blamed."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from yellowdog_client.model import (
    ComputeSourceExhaustion,
    ComputeSourceExhaustionStatus,
    NamespacePolicy,
)

from tests.own_machines import configured_pool
from tests.yellowdog_ray.cluster_lab import BOOT, NODE_CONFIG, LabCluster, grow, make_launcher, request
from tests.yellowdog_ray.inventory.conftest import publish
from yellowdog_local import faults
from yellowdog_local.testing import RunningPlatform
from yellowdog_ray.cluster.journal import Act, Decision
from yellowdog_ray.cluster.published import BackOffState, NodeTypeState, Notice, Shape
from yellowdog_ray.config.models import NodeConfig
from yellowdog_ray.errors import RayDogError
from yellowdog_ray.inventory import target
from yellowdog_ray.inventory.account import Account
from yellowdog_ray.inventory.facts import gather
from yellowdog_ray.inventory.findings import _below, remedy_of
from yellowdog_ray.inventory.why import judge

CPU = {"cpu": NodeTypeState(max_workers=10, resources={"CPU": 4.0}, alive=0, idle=0)}
GPUS = [Shape(resources={"GPU": 1.0}, count=7)]
CPUS = [Shape(resources={"CPU": 1.0}, count=7)]


class Scene:
    """A running cluster of one head, and ways to plant what keeps it from growing or shrinking."""

    def __init__(self, local: RunningPlatform, cluster: LabCluster) -> None:
        self.local = local
        self.cluster = cluster

    def fault(self, rule: Any) -> AbstractContextManager[None]:
        return self.local.faults.during(rule)

    def client(self) -> Any:
        return self.local.client()

    def workers(self, count: int = 2, seconds: float = BOOT) -> list[str]:
        ids = grow(self.cluster, count)
        self.local.advance(seconds)
        self.cluster.refresh()
        return ids

    def own_workers(self, machines: int, **fields: Any) -> None:
        """Two workers on a configured pool with so many machines."""
        configured_pool(self.local, machines, **fields)
        make_launcher(self.cluster).launch(request(2, "cpu", NodeConfig(worker_pool="demo/own")))
        self.local.advance(BOOT)

    def publish_failure(self, node_config: NodeConfig = NODE_CONFIG) -> None:
        """Launch, as Ray's autoscaler would, and publish the back-off that follows."""
        launcher = make_launcher(self.cluster)
        with pytest.raises(RayDogError):
            launcher.launch(request(1, "cpu", node_config))
        now = self.cluster.platform.clock.now()
        publish(
            self.cluster,
            demand=CPUS,
            node_types=CPU,
            back_offs=[
                BackOffState(
                    node_type=each.node_type,
                    code=each.reason.code,
                    reason=str(each.reason),
                    failures=each.failures,
                    until=now + timedelta(seconds=each.left),
                )
                for each in launcher.backoff.failing()
            ],
        )


@pytest.fixture
def scene(local, with_workers):
    return Scene(local, with_workers("demo", 0, cluster_lifetime_hours=24))


def no_capacity(scene: Scene) -> None:
    with scene.fault(faults.Capacity(limit=1)):
        scene.workers()


def quota(scene: Scene) -> None:
    with scene.fault(faults.Capacity(limit=1, message="VcpuLimitExceeded: your quota of 8 vCPUs is used up")):
        scene.workers()


def source_error(scene: Scene) -> None:
    with scene.fault(faults.Capacity(limit=1, message="InvalidAMIID.NotFound: the image id does not exist")):
        scene.workers()


def allowance(scene: Scene) -> None:
    scene.workers()
    for requirement in scene.local.platform.store.requirements.values():
        for source in requirement.sources:
            source.entity.exhaustion = ComputeSourceExhaustion(status=ComputeSourceExhaustionStatus.LIMITED)


def namespace_limit(scene: Scene) -> None:
    with scene.client() as client:
        client.namespaces_client.save_namespace_policy(NamespacePolicy("demo", autoscalingMaxNodes=2))
    scene.workers(1)
    scene.workers(3)


def held(scene: Scene) -> None:
    work = scene.cluster.find()
    with scene.client() as client:
        client.work_client.hold_work_requirement_by_id(work.id)
    scene.workers(1)


def wrong_template(scene: Scene) -> None:
    scene.publish_failure(NodeConfig(compute_requirement_template="demo/nonsense"))


def throttled(scene: Scene) -> None:
    with scene.fault(faults.Status(call="POST /workerPools/provisioned/template", status=429, retry_after_seconds=60)):
        scene.publish_failure()


def refused(scene: Scene) -> None:
    provision = "POST /workerPools/provisioned/template"
    with scene.fault(faults.Status(call=provision, status=403, message="no permission to provision")):
        scene.publish_failure()


def pool_ended(scene: Scene) -> None:
    scene.workers(1)
    pool = scene.cluster.platform.find_pool(scene.cluster.groups[-1].worker_tag)
    scene.cluster.platform.terminate_compute(pool.compute_requirement_id)
    scene.cluster.platform.shut_down_pool(pool.id)
    scene.local.advance(60)
    scene.cluster.platform.submit_tasks(scene.cluster.groups[-1].id, [scene_spec(scene)])


def scene_spec(scene: Scene) -> Any:
    head = scene.cluster.snapshot.head
    spec = scene.cluster.platform.task_spec(head.task_id)
    environment = {
        **spec.environment,
        "RAY_CLOUD_INSTANCE_ID": "cpu-again",
        "RAYDOG_NODE_TAGS": '{"ray-user-node-type": "cpu", "ray-node-type": "worker"}',
    }
    return type(spec)("cpu-again", spec.script, environment, spec.timeout)


def never_registers(scene: Scene) -> None:
    with scene.fault(faults.NeverRegisters(pool="*-cpu-*")):
        scene.workers(2, 300)


def never_boots(scene: Scene) -> None:
    with scene.fault(faults.NeverBoots(pool="*-cpu-*")):
        scene.workers(2, 300)


def agents_lost(scene: Scene) -> None:
    scene.workers(2)
    for node in scene.local.platform.store.nodes.values():
        if "-cpu-" in node.pool.entity.name:
            scene.local.hosts.unplug(node.instance.id)
    scene.local.advance(40)


def head_ended(scene: Scene) -> None:
    scene.workers(1)
    scene.cluster.platform.abort_task(scene.cluster.snapshot.head.task_id)
    scene.local.advance(30)


def ended(scene: Scene) -> None:
    scene.cluster.platform.cancel_work_requirement(scene.cluster.find().id)
    scene.local.advance(60)


def ending(scene: Scene) -> None:
    with scene.fault(faults.AbortLost()):
        scene.cluster.platform.cancel_work_requirement(scene.cluster.find().id)
        scene.local.advance(5)


def lifetime(scene: Scene) -> None:
    scene.local.advance(24 * 3600 - 100)


def max_workers(scene: Scene) -> None:
    scene.workers(2)
    joined = {"cpu": NodeTypeState(max_workers=10, resources={"CPU": 4.0}, alive=2, idle=0)}
    publish(scene.cluster, max_workers=2, node_types=joined, demand=CPUS)


def type_limit(scene: Scene) -> None:
    scene.workers(2)
    small = {"cpu": NodeTypeState(max_workers=2, resources={"CPU": 4.0}, alive=2, idle=0)}
    publish(scene.cluster, max_workers=9, node_types=small, demand=CPUS)


def infeasible(scene: Scene) -> None:
    publish(scene.cluster, max_workers=9, node_types=CPU, demand=GPUS)


def restarts(scene: Scene) -> None:
    now = scene.cluster.platform.clock.now()
    decisions = [Decision(now, Act.RESTARTED, "", 0, (), "", f"{number}") for number in range(3)]
    publish(scene.cluster, *decisions, node_types=CPU, demand=[])


def nodes_end(scene: Scene) -> None:
    workers = scene.workers(1)
    scene.local.faults.add(faults.AbortLost(task="cpu-*"))
    scene.cluster.terminate(workers)
    scene.cluster.close()


def configured_pool_busy(scene: Scene) -> None:
    scene.own_workers(1)


def configured_pool_empty(scene: Scene) -> None:
    scene.own_workers(0)


def task_type(scene: Scene) -> None:
    scene.own_workers(2, supportedTaskTypes=["docker"])


def workers_end_early(scene: Scene) -> None:
    """Two workers in a row, of which the head has published nothing yet."""
    publish(scene.cluster, max_workers=9, node_types=CPU, demand=CPUS)
    with scene.fault(faults.TaskExits(task="cpu-*", exit_code=3)):
        scene.workers(1)
        scene.workers(1)


CAUSES: dict[Callable[[Scene], None], tuple[str, str]] = {
    no_capacity: ("no-capacity", "add sources"),
    quota: ("quota", "raise the quota"),
    source_error: ("source-error", "in the template"),
    allowance: ("allowance", "boost the allowance"),
    namespace_limit: ("namespace-limit", "raise autoscalingMaxNodes"),
    held: ("held", "resume it"),
    wrong_template: ("backed-off-NotFound", "correct compute_requirement_template"),
    throttled: ("backed-off-Throttled", "tries again by itself"),
    refused: ("backed-off-Refused", "correct what the message names"),
    pool_ended: ("pool-ended", "provisions another pool"),
    never_registers: ("machines-do-not-register", "agent"),
    never_boots: ("machines-start", "cloud's console"),
    agents_lost: ("agents-lost", "memory and network"),
    configured_pool_busy: ("configured-pool-busy", "add machines"),
    configured_pool_empty: ("configured-pool-empty", "start machines"),
    task_type: ("task-type", "configure the task type"),
    head_ended: ("head-ended", "raydog down demo"),
    ended: ("ended", "`ray up`"),
    ending: ("ending", "raydog down demo"),
    lifetime: ("lifetime", "cluster_lifetime_hours"),
    max_workers: ("max-workers", "raise the top-level max_workers"),
    type_limit: ("type-limit", "raise max_workers of the node type"),
    infeasible: ("infeasible", "add a node type"),
    workers_end_early: ("workers-end-early", "ray_worker_node_task_script"),
    restarts: ("head-restarts", "larger machine type"),
    nodes_end: ("nodes-end", "terminate the instances"),
}
"""Each planted cause, the code by which it is named, and words of its remedy."""


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


def test_ended_workers_are_counted_with_the_last_ones_exit_code_while_another_starts(scene, raydog):
    workers_end_early(scene)
    scene.workers(1, 2)
    mark = scene.local.calls.mark()

    (finding,) = [each for each in raydog.json("why", "demo", "--namespace", "demo")["findings"] if each["isTrouble"]]

    assert finding["cause"] == "2 worker(s) of node type cpu have ended soon after their start"
    assert "exit code 3" in finding["evidence"][0]
    assert scene.local.calls.count("*", since=mark) <= 5 + len(["head", "cpu"])


def test_ended_workers_of_a_long_history_are_found_while_none_lives(scene, raydog, monkeypatch):
    monkeypatch.setattr("yellowdog_ray.inventory.facts.PAGE_SIZE", 2)
    workers_end_early(scene)

    codes = [each["code"] for each in raydog.json("why", "demo", "--namespace", "demo")["findings"]]

    assert "workers-end-early" in codes


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        ({"demand": [], "node_types": CPU}, 0),
        ({"demand": CPUS, "node_types": {"cpu": CPU["cpu"].model_copy(update={"alive": 1})}}, 0),
        ({"demand": CPUS, "node_types": CPU}, 3600),
    ],
    ids=["nothing waits", "Ray runs on one", "long ago"],
)
def test_ended_workers_are_no_trouble_if_later_ones_last_or_none_is_wanted(scene, raydog, state, seconds):
    workers_end_early(scene)
    scene.local.advance(seconds + 10)
    publish(scene.cluster, max_workers=9, **state)

    assert not any(each["isTrouble"] for each in raydog.json("why", "demo", "--namespace", "demo")["findings"])


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


def test_state_from_before_the_heads_last_start_explains_nothing(scene):
    plant_all(scene)
    facts = gather(target.find(Account(), target.parse_target("demo", "demo")))
    assert facts.doubt is None
    later = tuple(replace(task, started=facts.now + timedelta(seconds=9)) for task in facts.head.tasks)
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
    assert not any(each["isTrouble"] for each in found.values())
    assert found[code]["concerns"] == "shrinking"


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


def test_unknown_cluster_is_exit_code_1(local, raydog):
    assert raydog.run("why", "nobody", "--namespace", "demo").exit_code == 1


def test_every_code_of_a_back_off_has_a_remedy():
    for kind in {RayDogError, *_below(RayDogError)}:
        assert len(remedy_of(kind.code)) > len("none"), kind
