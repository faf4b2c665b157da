"""The decisions of a head, as they reach the journal and then the platform."""

import pytest
from ray.autoscaler.node_launch_exception import NodeLaunchException

from tests.yellowdog_ray.ray_cli import launch
from yellowdog_ray import names
from yellowdog_ray.cluster.published import decode


def acts(provider) -> list[tuple[str, int]]:
    return [(decision.act.value, decision.count) for decision in provider.side.journal.pending()[1]]


def test_launches_withdrawals_and_terminations_are_noted(platform, head_provider):
    head_provider.non_terminated_nodes({})
    (first,) = launch(head_provider, 1)
    platform.advance(3)
    head_provider.side.cluster.refresh()
    (second,) = launch(head_provider, 1)

    head_provider.terminate_nodes([first, second])

    assert acts(head_provider) == [("launched", 2), ("terminated", 1), ("withdrawn", 1)]


def test_failed_launch_is_noted_and_published(platform, head_provider, monkeypatch):
    side = head_provider.side
    head_provider.non_terminated_nodes({})
    with pytest.raises(NodeLaunchException):
        head_provider.create_node_with_resources_and_labels(
            {"compute_requirement_template": "demo/nonsense"}, {"ray-user-node-type": "worker"}, 1, {}, {}
        )
    monkeypatch.setattr("yellowdog_ray.monitor.publishing_pace.SETTLE_SECONDS", 0.0)

    side.publisher.close()
    side.publisher._run()

    head_pool = side.cluster.groups[0].worker_tag
    (entry,) = side.platform.documents(names.state_tag(head_pool))
    state = decode(side.platform.document(entry.id), "demo", names.token_of(head_pool))
    assert state is not None
    assert [(each.act, each.node_type, each.code) for each in state.decisions] == [("backed off", "worker", "NotFound")]
    assert [(each.node_type, each.failures) for each in state.back_offs] == [("worker", 1)]
    assert state.max_workers == 2
    assert entry.finished


def test_publication_can_be_switched_off(platform, head_provider):
    side = head_provider.side
    head_provider.non_terminated_nodes({})
    side.settings.replace(side.settings.current.model_copy(update={"publish_events": False}))
    checked = side.publisher._checked_at
    side.publisher.close()
    side.publisher._uncancelled = []  # nothing is left to cancel

    side.publisher._checked_at = float("-inf")
    side.publisher.tick(side.cluster.snapshot)

    assert checked > float("-inf")
    assert side.publisher._checked_at == float("-inf")
