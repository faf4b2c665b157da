"""The provider in the autoscaler on the head."""

from collections.abc import Iterable
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.yellowdog_ray.ray_cli import launch
from yellowdog_ray.cluster.snapshot import Phase, Snapshot
from yellowdog_ray.errors import Unavailable
from yellowdog_ray.monitor.duties import make_kit_maker
from yellowdog_ray.monitor.polling import CALM_SECONDS


def test_node_tags_include_those_that_ray_requires(platform, head_provider):
    head_provider.non_terminated_nodes({})
    launch(head_provider, 2)

    for node_id in head_provider.non_terminated_nodes({}):
        tags = head_provider.node_tags(node_id)
        assert {"ray-node-type", "ray-user-node-type", "ray-node-status"} <= set(tags)


def test_listing_filters_by_every_tag(platform, head_provider):
    head_provider.non_terminated_nodes({})
    ids = launch(head_provider, 2)

    assert set(head_provider.non_terminated_nodes({"ray-node-type": "worker"})) == set(ids)
    assert head_provider.non_terminated_nodes({"ray-node-type": "worker", "ray-user-node-type": "other"}) == []


def test_uploads_of_rays_updaters_have_a_deadline(platform, head_provider, monkeypatch):
    (head,) = head_provider.non_terminated_nodes({})
    monkeypatch.setattr("yellowdog_ray.monitor.head_side.with_deadlines", lambda runner: ("with deadlines", runner))

    runner = head_provider.side.command_runner(head, lambda: "runner")

    assert runner._runner == ("with deadlines", "runner")


def test_terminate_keeps_head(platform, head_provider):
    (head,) = head_provider.non_terminated_nodes({})

    head_provider.terminate_nodes([head])
    platform.advance(60)

    assert head_provider.non_terminated_nodes({}) == [head]


def test_last_listing_stands_when_platform_is_unreachable(platform, head_provider, monkeypatch):
    before = head_provider.non_terminated_nodes({})

    def fail(*_: object) -> None:
        raise Unavailable("no answer")

    monkeypatch.setattr(head_provider.side.platform, "work_requirement", fail)

    assert head_provider.non_terminated_nodes({}) == before
    assert head_provider.internal_ip(before[0])


def test_first_listing_fails_when_platform_is_unreachable(platform, head_provider, monkeypatch):
    def fail(*_: object) -> None:
        raise Unavailable("no answer")

    monkeypatch.setattr(head_provider.side.platform, "work_requirement", fail)

    with pytest.raises(Unavailable):
        head_provider.non_terminated_nodes({})


@pytest.mark.parametrize(("restart", "ends"), [(None, True), ("0", False)])
def test_idle_end_runs_without_a_listing_unless_another_head_may_have_replaced_this_one(
    platform, head_provider, monkeypatch, restart, ends
):
    """A replaced head whose machine still runs has an idle cluster in its own eyes: only a listing shows the other."""
    side, snapshots = head_provider.side, []
    side._restart = restart
    side.idle_end = SimpleNamespace(is_due=True, tick=snapshots.append)

    def fail(*_: object) -> None:
        raise Unavailable("no answer")

    monkeypatch.setattr(side.platform, "work_requirement", fail)
    for _ in range(2):
        with pytest.raises(Unavailable):
            head_provider.non_terminated_nodes({})

    assert bool(snapshots) is ends


@pytest.mark.parametrize("is_read", [True, False])
def test_use_is_read_before_and_after_the_listing_and_after_each_duty(platform, head_provider, monkeypatch, is_read):
    head_provider.non_terminated_nodes({})
    side, order = head_provider.side, []
    monkeypatch.setattr(side, "watch_use", lambda: order.append("use"))
    del side.supervisor
    side.supervisor._duties = (lambda _: order.append("duty"),) * 2
    monkeypatch.setattr(side.listing, "read", lambda: (order.append("listing"), is_read)[1])
    platform.advance(CALM_SECONDS)

    head_provider.non_terminated_nodes({})

    assert order == ["use", "listing", "use", *["duty", "use"] * (2 * is_read)]


def test_first_listing_logs_bug_with_its_traceback(platform, head_provider, monkeypatch, caplog):
    def fail(*_: object) -> None:
        raise TypeError("a mistake")

    monkeypatch.setattr(head_provider.side.platform, "work_requirement", fail)

    with pytest.raises(TypeError):
        head_provider.non_terminated_nodes({})
    assert "a bug in RayDog" in caplog.text
    assert "Traceback" in caplog.text


def test_getters_answer_for_unknown_id(platform, head_provider):
    head_provider.non_terminated_nodes({})

    assert head_provider.node_tags("nobody") == {}
    assert head_provider.internal_ip("nobody") is None
    assert head_provider.external_ip("nobody") is None
    assert not head_provider.is_running("nobody")
    assert head_provider.is_terminated("nobody")


def test_getters_answer_for_terminated_node(platform, head_provider):
    head_provider.non_terminated_nodes({})
    (node_id,) = launch(head_provider, 1)
    platform.advance(3)
    head_provider.non_terminated_nodes({})

    head_provider.terminate_node(node_id)

    assert head_provider.external_ip(node_id)


class RecordingTags:
    """A tag store that only records its calls."""

    def __init__(self) -> None:
        self.calls: list[object] = []

    def refresh(self) -> None:
        self.calls.append("refresh")

    def keep(self, ids: Iterable[str]) -> None:
        self.calls.append(set(ids))


def test_listing_reads_tags_and_keeps_those_of_new_and_earlier_nodes(platform, head_provider):
    side = head_provider.side
    (head,) = head_provider.non_terminated_nodes({})
    (worker,) = launch(head_provider, 1)
    listed = side.cluster.snapshot
    side.tag_store = tags = RecordingTags()
    side._listed = {}

    side._read_tags(listed)
    assert tags.calls == ["refresh", {head, worker}]

    side._listed = listed.nodes
    side._read_tags(Snapshot({head: listed.nodes[head]}))
    assert tags.calls[2:] == ["refresh", {head, worker}]


@pytest.mark.parametrize("change", [{"phase": Phase.PENDING}, {"private_ip": None}])
def test_listing_reads_no_tags_before_the_head_runs(platform, head_provider, change):
    side = head_provider.side
    (head,) = head_provider.non_terminated_nodes({})
    side.tag_store = tags = RecordingTags()

    side._read_tags(Snapshot({head: replace(side.cluster.snapshot.nodes[head], **change)}))

    assert tags.calls == []


class TestReplacement:
    """A head that workers may replace, and one that they may not."""

    @pytest.fixture
    def admitted(self, platform, head_provider, monkeypatch):
        """The variables and the script of a worker's task, with or without `head_restart` on the head."""
        monkeypatch.setattr("yellowdog_ray.monitor.admission.Admission.environment", lambda *_: {"RAYDOG_TICKET": "t"})
        monkeypatch.setattr("yellowdog_ray.monitor.admission.Admission.tick", lambda *_: None)

        def launch_one(restart):
            side = head_provider.side
            side._auth_mode, side._restart = "token", restart
            head_provider.non_terminated_nodes({})
            (node_id,) = launch(head_provider, 1)
            spec = side.platform.task_spec(side.cluster.snapshot.nodes[node_id].task_id)
            return spec.environment.get("RAYDOG_HEAD_RESTART"), "yellowdog_ray.carrier" in spec.script

        return launch_one

    def test_worker_gets_a_carriers_script_and_time(self, admitted):
        assert admitted("0") == ("1980", True)

    def test_worker_gets_nothing_of_it_without_head_restart(self, admitted, head_provider):
        assert admitted(None) == (None, False)
        assert not head_provider.side.is_made("place")

    def test_kit_names_the_head_and_its_cluster(self, platform, head_provider, monkeypatch):
        side = head_provider.side
        manifests = []
        monkeypatch.setattr("yellowdog_ray.monitor.duties.KitMaker", lambda manifest, *_: manifests.append(manifest))
        (head,) = head_provider.non_terminated_nodes({})
        monkeypatch.setenv("RAY_CLOUD_INSTANCE_ID", head)
        side._restart = "0"

        make_kit_maker(side, side._clock)
        manifest = manifests[0]()

        task_id = side.cluster.snapshot.nodes[head].task_id
        assert (manifest.namespace, manifest.requirement_id, manifest.head_task_id, manifest.ssh_user) == (
            side.settings.current.cluster_namespace,
            side.requirement_id,
            task_id,
            "yd-agent",
        )
        side.place.is_fenced = True
        assert manifests[0]() is None
