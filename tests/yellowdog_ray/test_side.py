"""What a provider does wherever it runs: answers from the last listing, and tags."""

from types import SimpleNamespace

import pytest

from yellowdog_ray import side as module
from yellowdog_ray.cluster.snapshot import ClusterNode, Phase, Snapshot
from yellowdog_ray.side import Side

HEAD = ClusterNode("head-1", "t-1", "g", Phase.RUNNING, {"ray-node-type": "head"}, private_ip="10.0.0.1")
WORKER = ClusterNode(
    "cpu-1", "t-2", "g", Phase.PENDING, {"ray-node-type": "worker"}, private_ip="10.0.0.2", public_ip="80.0.0.2"
)


class Tags:
    """A tag store whose writes arrive or not."""

    def __init__(self):
        self.tags = {}
        self.arrives = True
        self.refusal = None

    def get(self, node_id):
        return self.tags.get(node_id, {})

    def set(self, node_id, tags):
        self.tags[node_id] = {**self.get(node_id), **tags}
        return self.arrives


class OneSide(Side):
    """A side of a cluster with a head and a worker."""

    def _read(self):
        return self.cluster.snapshot

    def _make_cluster(self):
        return SimpleNamespace(snapshot=Snapshot({node.id: node for node in (HEAD, WORKER)}))

    def _make_tag_store(self):
        return Tags()


OneSide.__abstractmethods__ = frozenset()


@pytest.fixture
def side():
    return OneSide({"cluster_namespace": "demo"}, "demo", "cluster.yaml", None)


def test_listing_filters_by_every_tag_and_by_changed_ones(side):
    side.tag_store.set(WORKER.id, {"ray-node-status": "up-to-date"})

    assert side.list_nodes({}) == [HEAD.id, WORKER.id]
    assert side.list_nodes({"ray-node-type": "worker", "ray-node-status": "up-to-date"}) == [WORKER.id]
    assert side.list_nodes({"ray-node-type": "head", "ray-node-status": "up-to-date"}) == []


def test_terminated_node_keeps_its_answers_until_the_next_listing(side):
    side.list_nodes({})
    side.cluster.snapshot = Snapshot({HEAD.id: HEAD})

    assert side.is_terminated(WORKER.id)
    assert side.internal_ip(WORKER.id) == "10.0.0.2"
    side.list_nodes({})
    assert side.internal_ip(WORKER.id) is None
    assert side.node_tags(WORKER.id) == {}


def test_external_address_is_the_internal_one_where_a_node_has_no_other(side):
    assert side.external_ip(HEAD.id) == "10.0.0.1"
    assert side.external_ip(WORKER.id) == "80.0.0.2"
    assert side.external_ip("nobody") is None


def test_node_runs_with_its_task(side):
    assert [side.is_running(node_id) for node_id in (HEAD.id, WORKER.id, "nobody")] == [True, False, False]


@pytest.mark.parametrize(
    ("arrives", "status", "refusal", "text"),
    [
        (False, "up-to-date", None, "does not answer"),
        (False, "up-to-date", "a password", "refuses"),
        (False, "setting-up", None, None),
        (True, "up-to-date", None, None),
    ],
)
def test_tag_server_that_does_not_take_tags_is_reported_when_a_node_is_ready(
    side, monkeypatch, arrives, status, refusal, text
):
    warnings = []
    monkeypatch.setattr(module.cli_logger, "warning", lambda template, *_: warnings.append(template))
    side.tag_store.arrives, side.tag_store.refusal = arrives, refusal

    side.set_tags(HEAD.id, {"ray-node-status": status})

    assert [text in warning for warning in warnings] == ([True] if text else [])
