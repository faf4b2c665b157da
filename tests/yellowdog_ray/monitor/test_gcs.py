"""What is read from Ray's control store, with a real one."""

import logging
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
import ray
from ray.cluster_utils import Cluster
from ray.core.generated.autoscaler_pb2 import ClusterResourceState, GetClusterResourceStateReply
from ray.exceptions import RpcError
from ray.util.placement_group import placement_group, remove_placement_group

from yellowdog_ray.monitor.gcs import RayNodes

RAYS_NEWS_SECONDS = 1.0
"""How old Ray lets its news of placement groups become (`GcsPlacementGroupManager::Tick` of Ray 2.60)."""

PLACING_SECONDS = 10.0
"""Longest wait for a new raylet to join and for Ray to place a group on it."""

ROUNDS = 5
"""Ray may refresh its list between a placement and the next poll, so that one round may detect nothing."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Ray with a head without CPUs."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    ray.init(cluster.address, log_to_driver=False)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.timeout(120)
def test_placed_group_that_counts_as_waiting_is_detected(cluster: Cluster) -> None:
    nodes = RayNodes(cluster.address)

    def noticed_on_placing() -> bool:
        group = placement_group([{"CPU": 1}])
        assert not became(nodes.counts_placed_groups, within=2 * RAYS_NEWS_SECONDS)
        with ThreadPoolExecutor(1) as executor:  # Ray may place the group before `add_node` returns
            noticed = executor.submit(became, nodes.counts_placed_groups, PLACING_SECONDS)
            worker = cluster.add_node(num_cpus=1)
            assert group.wait(PLACING_SECONDS)
        assert became(lambda: not nodes.counts_placed_groups(), within=PLACING_SECONDS)
        remove_placement_group(group)
        cluster.remove_node(worker)
        return noticed.result()

    assert any(noticed_on_placing() for _ in range(ROUNDS))


def became(true: Callable[[], bool], within: float) -> bool:
    until = time.monotonic() + within
    while time.monotonic() < until:
        if true():
            return True
        time.sleep(0.005)
    return False


class Store:
    """Ray's client, with the request that a control store has in its memory."""

    def __init__(self) -> None:
        self.state = ClusterResourceState()

    def get_cluster_resource_state(self, timeout_s: float) -> bytes:
        return GetClusterResourceStateReply(cluster_resource_state=self.state).SerializeToString()

    def request_cluster_resource_constraint(self, *request: object, timeout_s: float) -> None:
        self.request = request


class TestRequestedResources:
    """What `request_resources` has asked for is read as it is written."""

    @pytest.fixture
    def store(self, monkeypatch: pytest.MonkeyPatch) -> Store:
        store = Store()
        monkeypatch.setattr("ray._raylet.GcsClient", lambda address: store)
        return store

    def test_restarted_store_has_no_request(self, store):
        assert RayNodes().requested_resources() == (False, [])

    def test_withdrawn_request_is_known(self, store):
        store.state.cluster_resource_constraints.add()

        assert RayNodes().requested_resources() == (True, [])

    def test_request_is_read_and_made_again_with_its_labels(self, store):
        requests = store.state.cluster_resource_constraints.add().resource_requests
        requests.add(count=2).request.resources_bundle["CPU"] = 1
        labelled = requests.add(count=1).request
        labelled.resources_bundle["GPU"] = 0.5
        selector = labelled.label_selectors.add()
        selector.label_constraints.add(label_key="zone", operator="LABEL_OPERATOR_IN", label_values=["a", "b"])
        selector.label_constraints.add(label_key="spot", operator="LABEL_OPERATOR_NOT_IN", label_values=["yes"])
        nodes = RayNodes()

        is_known, bundles = nodes.requested_resources() or (False, [])
        assert is_known
        assert nodes.request_resources(bundles)

        selectors = [{}, {"zone": "in(a,b)", "spot": "!in(yes)"}]
        assert store.request == ([{"CPU": 1.0}, {"GPU": 0.5}], selectors, [2, 1])

    def test_request_is_made_again_with_ray_2_50(self, store, monkeypatch):
        def request(bundles: object, count_array: object, timeout_s: float) -> None:
            store.request = (bundles, count_array)

        monkeypatch.setattr(store, "request_cluster_resource_constraint", request)

        assert RayNodes().request_resources([({"CPU": 1.0}, {}, 2)])
        assert store.request == ([{"CPU": 1.0}], [2])


class FakeClient:
    """Ray's client, with one answer for every request."""

    def __init__(self, answer: object) -> None:
        self._answer = answer

    def get_all_node_info(self, **_: object) -> object:
        if isinstance(self._answer, Exception):
            raise self._answer
        return self._answer


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[object], RayNodes]:
    """Makes the reader of a control store that gives this answer, or fails with it."""

    def make(answer: object) -> RayNodes:
        monkeypatch.setattr("ray._raylet.GcsClient", lambda address: FakeClient(answer))
        return RayNodes()

    return make


class TestFailures:
    """Requests without an answer, and answers that cannot be used."""

    def test_rpc_failure_is_logged_at_debug(self, answering, caplog):
        caplog.set_level(logging.DEBUG, "yellowdog_ray")
        nodes = answering(RpcError("down"))

        assert not nodes.refresh()
        assert [record.levelno for record in caplog.records] == [logging.DEBUG]

    def test_bug_in_conversion_is_logged_once_with_its_line(self, answering, caplog):
        node = SimpleNamespace(
            instance_id="a",
            node_id="not bytes",
            node_manager_address="10.0.0.1",
            state=0,
            death_info=SimpleNamespace(reason=0),
        )
        nodes = answering({b"1": node})

        assert [nodes.refresh() for _ in range(3)] == [False] * 3
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        assert "info.node_id.hex()" in caplog.text

    def test_last_answer_stands_when_the_next_cannot_be_used(self, answering):
        good = SimpleNamespace(
            instance_id="a",
            node_id=b"1",
            node_manager_address="10.0.0.1",
            state=0,
            death_info=SimpleNamespace(reason=0),
        )
        answer = {b"1": good}
        nodes = answering(answer)
        assert nodes.refresh()

        answer[b"2"] = SimpleNamespace(
            instance_id="b", node_id="not bytes", node_manager_address="", state=0, death_info=SimpleNamespace(reason=0)
        )

        assert not nodes.refresh()
        assert nodes.joined("a", None)
        assert not nodes.joined("b", None)
