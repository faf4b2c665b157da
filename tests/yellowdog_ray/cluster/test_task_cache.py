"""The number of platform calls per reading of a cluster, and the completeness of the listing."""

import pytest

from tests.simulation.config import BOOT_SECONDS, ROOMY
from tests.simulation.lab import Lab
from tests.simulation.machine import add_templates
from tests.yellowdog_ray import cluster_lab
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.launch import Launcher, LaunchRequest
from yellowdog_ray.cluster.task_cache import FULL_READING_SECONDS, UNEXPLAINED_SECONDS
from yellowdog_ray.config.node_config import NodeConfig

PAGE = 10
MANY = 45
"""Workers: five pages of tasks, the head's included."""

READ_WORK = 1
BOOT = BOOT_SECONDS["roomy"] + 1


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of ten, so that few nodes fill many pages."""
    for module in ("platform.calls", "cluster.task_cache", "cluster.platform_nodes"):
        monkeypatch.setattr(f"yellowdog_ray.{module}.PAGE_SIZE", PAGE)


@pytest.fixture
def launcher(local, head_side) -> Launcher:
    add_templates(Lab(local.platform, local.clock, local.hosts))
    return cluster_lab.make_launcher(head_side)


def request(count: int) -> LaunchRequest:
    """A request for workers of a template with ample capacity."""
    return cluster_lab.request(count, node_config=NodeConfig(compute_requirement_template=ROOMY))


@pytest.fixture
def grown(local, head_side, launcher):
    """Launches workers, and returns once they run and are listed."""

    def make(count: int) -> list[str]:
        ids = launcher.launch(request(count))
        head_side.refresh()
        local.advance(BOOT)
        head_side.refresh()
        head_side.refresh()
        return ids

    return make


@pytest.fixture
def lose(local, head_side):
    """Loses the instances of nodes, so that their tasks end without a request."""

    def end(*node_ids: str) -> None:
        for node_id in node_ids:
            group = local.platform.store.work_by_name("demo", "demo").groups[-1]
            local.hosts.lose(group.names[node_id].worker.node.instance.id)
        local.advance(1)

    return end


def listed(cluster: Cluster) -> set[str]:
    """Ids of the listed workers."""
    return {node.id for node in cluster.snapshot.nodes.values() if not node.is_head}


@pytest.mark.parametrize("count", [1, MANY])
@pytest.mark.usefixtures("small_pages")
def test_refresh_costs_one_call_and_keeps_snapshot_without_change(head_side, grown, calls, count):
    grown(count)
    before = head_side.snapshot

    made = calls.during(head_side.refresh)

    assert len(made) == READ_WORK
    assert head_side.snapshot is before


@pytest.mark.usefixtures("small_pages")
def test_refresh_costs_one_call_after_own_launch(head_side, grown, launcher, calls):
    before = set(grown(2))

    new = launcher.launch(request(15))
    made = calls.during(head_side.refresh)

    assert len(made) == READ_WORK
    assert listed(head_side) == before | set(new)


@pytest.mark.usefixtures("small_pages")
def test_ended_node_among_many_costs_one_more_call(head_side, grown, lose, calls):
    ids = grown(MANY)

    lose(ids[3])
    made = calls.during(head_side.refresh)

    assert len(made) == READ_WORK + 1
    assert listed(head_side) == set(ids) - {ids[3]}


@pytest.mark.usefixtures("small_pages")
def test_started_node_among_many_costs_two_more_calls(local, head_side, grown, launcher, calls):
    ids = grown(MANY)
    local.advance(UNEXPLAINED_SECONDS)
    head_side.refresh()
    (new,) = launcher.launch(request(1))
    head_side.refresh()

    local.advance(BOOT)
    made = calls.during(head_side.refresh)

    assert len(made) == READ_WORK + 2  # its task, and its platform node
    assert listed(head_side) == {*ids, new}
    assert head_side.snapshot.nodes[new].private_ip


@pytest.mark.usefixtures("small_pages")
def test_ended_nodes_cost_one_call_per_page_of_them(head_side, grown, lose, calls):
    ids = grown(MANY)

    lose(*ids[:12])
    made = calls.during(head_side.refresh)

    assert len(made) == READ_WORK + 2
    assert listed(head_side) == set(ids[12:])


@pytest.mark.usefixtures("small_pages")
def test_whole_list_is_read_when_most_nodes_have_changed(local, head_side, launcher, calls):
    ids = launcher.launch(request(MANY))
    head_side.refresh()
    local.advance(BOOT)

    made = calls.during(head_side.refresh)

    assert sum(call == "GET /work/tasks" for call in made) == MANY // PAGE + 1
    assert listed(head_side) == set(ids)


@pytest.mark.usefixtures("small_pages")
def test_ended_nodes_cost_no_later_call(local, head_side, grown, launcher, lose, calls):
    gone = grown(MANY)
    lose(*gone)
    head_side.refresh()
    grown(3)
    local.advance(UNEXPLAINED_SECONDS)

    quiet = calls.during(head_side.refresh)
    launcher.launch(request(2))
    local.advance(BOOT)
    changed = calls.during(head_side.refresh)

    assert len(quiet) <= READ_WORK + 1  # one more when the full reading is due
    assert len(changed) == READ_WORK + 2  # tasks and platform nodes: a page of each


@pytest.mark.usefixtures("small_pages")
def test_whole_list_is_read_when_changes_do_not_explain_the_counts(head_side, grown, lose, calls, monkeypatch):
    ids = grown(MANY)
    monkeypatch.setattr(head_side.platform, "ended_tasks", lambda *_: [])

    lose(ids[3])
    made = calls.during(head_side.refresh)

    assert listed(head_side) == set(ids) - {ids[3]}
    assert sum(call == "GET /work/tasks" for call in made) >= MANY / PAGE


def test_full_reading_replaces_the_counts_when_due(local, head_side, grown, calls):
    grown(2)
    before = head_side.snapshot
    local.advance(FULL_READING_SECONDS)

    assert calls.during(head_side.refresh) == ["GET /work/tasks"]
    assert head_side.snapshot is before


def test_foreign_abort_is_detected_by_the_full_reading(local, head_side, grown):
    ids = grown(2)
    local.platform.tasks.cancel(local.platform.store.work_by_name("demo", "demo").groups[-1].names[ids[0]], abort=True)

    local.advance(0)
    head_side.refresh()
    local.advance(FULL_READING_SECONDS)
    head_side.refresh()

    assert listed(head_side) == {ids[1]}


def test_list_is_read_less_often_while_counts_stay_unexplained(local, head_side, grown, calls, monkeypatch):
    grown(2)
    live = head_side.platform.live_tasks
    monkeypatch.setattr(head_side.platform, "live_tasks", lambda work: live(work)[:-1])
    head_side._listing._groups.clear()

    readings = []
    for _ in range(24):
        readings.append("GET /work/tasks" in calls.during(head_side.refresh))
        local.advance(5)

    later = readings[int(UNEXPLAINED_SECONDS / 5) + 1 :]
    assert all(readings[: int(UNEXPLAINED_SECONDS / 5)])
    assert 0 < sum(later) <= len(later) / 3
