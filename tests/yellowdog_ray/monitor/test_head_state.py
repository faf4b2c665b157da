"""The state that the head publishes, composed of limits, Ray's answer and back-offs."""

from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

from ray.core.generated.autoscaler_pb2 import (
    ClusterResourceState,
    NodeState,
    NodeStatus,
    ResourceRequest,
    ResourceRequestByCount,
)

from yellowdog_ray.cluster.backoff import BackOff
from yellowdog_ray.cluster.published import NodeTypeState, Shape
from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.config.models import INTERNAL_KEY, parse_provider
from yellowdog_ray.errors import NotFound
from yellowdog_ray.monitor.head_state import HeadStates
from yellowdog_ray.monitor.reload import RayLimits

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


def compose(time, answer, backoff=None):
    internal = {"max_workers": 4, "node_types": {"cpu": {"max_workers": 3, "resources": {"CPU": 2}}}}
    settings = LiveSettings(parse_provider({"cluster_namespace": "demo", INTERNAL_KEY: internal}, "x.yaml"))
    states = HeadStates(
        "demo",
        settings,
        lambda: RayLimits({"cpu": 1}, 5.0, {"cpu": {"zone": "a"}}),
        backoff or BackOff(time),
        SimpleNamespace(state=lambda: answer),
        SimpleNamespace(now=lambda: NOW),
        v2=True,
    )
    return states.compose("0a0b0c0d", [])


def test_state_has_limits_demand_and_usage(time):
    answer = ClusterResourceState(
        node_states=[NodeState(ray_node_type_name="cpu", idle_duration_ms=7000, status=NodeStatus.IDLE)],
        pending_resource_requests=[
            ResourceRequestByCount(request=ResourceRequest(resources_bundle={"CPU": 1}), count=3)
        ],
    )

    state = compose(time, answer)

    assert (state.head, state.max_workers, state.idle_timeout_minutes) == ("head-0a0b0c0d", 4, 5.0)
    assert state.demand == [Shape(resources={"CPU": 1}, count=3)]
    assert state.node_types == {
        "cpu": NodeTypeState(
            max_workers=3,
            min_workers=1,
            resources={"CPU": 2},
            labels={"zone": "a"},
            alive=1,
            idle=1,
            longest_idle_seconds=7.0,
        )
    }


def test_state_without_an_answer_of_ray_says_so(time):
    state = compose(time, None)

    assert state.demand is None
    assert state.node_types["cpu"].alive is None


def test_usage_is_unknown_if_a_nodes_type_is(time):
    nodes = [NodeState(ray_node_type_name=name, status=NodeStatus.IDLE) for name in ("cpu", "")]

    state = compose(time, ClusterResourceState(node_states=nodes))

    assert (state.node_types["cpu"].alive, state.demand) == (None, [])


def test_back_off_has_the_time_of_the_next_try(time):
    backoff = BackOff(time)
    backoff.failed("cpu", NotFound("no template"))
    backoff.failed("cpu", NotFound("no template"))

    (each,) = compose(time, None, backoff).back_offs

    assert (each.node_type, each.code, each.reason, each.failures) == ("cpu", "NotFound", "no template", 2)
    assert each.until == NOW + timedelta(seconds=10)
