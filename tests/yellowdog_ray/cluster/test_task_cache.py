"""How little of a cluster is read again, counted in platform calls, and that nothing is missed for it."""

import pytest

from tests.simulation.config import BOOT_SECONDS, ROOMY
from tests.simulation.lab import Lab
from tests.simulation.machine import add_templates
from tests.yellowdog_ray import cluster_lab
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.launch import Launcher, LaunchRequest
from yellowdog_ray.cluster.task_cache import FULL_READING_SECONDS, UNEXPLAINED_SECONDS
from yellowdog_ray.config.models import NodeConfig

PAGE = 10
MANY = 45
"""Workers: five pages of tasks, the head's included."""

READ_WORK = 1
BOOT = BOOT_SECONDS["roomy"] + 1


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of ten, so that a cluster of many pages is quickly made."""
    for module in ("platform.calls", "cluster.task_cache", "cluster.platform_nodes"):
        monkeypatch.setattr(f"yellowdog_ray.{module}.PAGE_SIZE", PAGE)


@pytest.fixture
def launcher(local, head_side) -> Launcher:
    add_templates(Lab(local.platform, local.clock, local.hosts))
    return cluster_lab.make_launcher(head_side)


def request(count: int) -> LaunchRequest:
    """Workers of whose machines there are plenty."""
    return cluster_lab.request(count, node_config=NodeConfig(compute_requirement_template=ROOMY))


@pytest.fixture
def grown(local, head_side, launcher):
    """Makes workers that run and are known."""

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
    """Ends tasks as if by themselves, which no one has asked for."""

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
def test_where_nothing_has_changed_one_call_gives_the_same_snapshot(head_side, grown, calls, count):
    grown(count)
    before = head_side.snapshot

    made = calls.during(head_side.refresh)

    assert len(made) == READ_WORK
    assert head_side.snapshot is before


@pytest.mark.usefixtures("small_pages")
def test_what_this_process_has_asked_for_need_not_be_read(head_side, grown, launcher, calls):
    before = set(grown(2))

    new = launcher.launch(request(15))
    made = calls.during(head_side.refresh)

    assert len(made) == READ_WORK
    assert listed(head_side) == before | set(new)


@pytest.mark.usefixtures("small_pages")
def test_a_node_that_ends_among_many_costs_one_call(head_side, grown, lose, calls):
    ids = grown(MANY)

    lose(ids[3])
    made = calls.during(head_side.refresh)

    assert len(made) == READ_WORK + 1
    assert listed(head_side) == set(ids) - {ids[3]}


@pytest.mark.usefixtures("small_pages")
def test_a_node_that_starts_among_many_costs_two(local, head_side, grown, launcher, calls):
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
def test_changes_cost_calls_by_the_page_however_many_nodes_stay_as_they_are(head_side, grown, lose, calls):
    ids = grown(MANY)

    lose(*ids[:12])
    made = calls.during(head_side.refresh)

    assert len(made) == READ_WORK + 2
    assert listed(head_side) == set(ids[12:])


@pytest.mark.usefixtures("small_pages")
def test_where_most_have_changed_all_is_read_at_once(local, head_side, launcher, calls):
    ids = launcher.launch(request(MANY))
    head_side.refresh()
    local.advance(BOOT)

    made = calls.during(head_side.refresh)

    assert sum(call == "GET /work/tasks" for call in made) == MANY // PAGE + 1
    assert listed(head_side) == set(ids)


@pytest.mark.usefixtures("small_pages")
def test_a_clusters_past_costs_nothing(local, head_side, grown, launcher, lose, calls):
    gone = grown(MANY)
    lose(*gone)
    head_side.refresh()
    grown(3)
    local.advance(UNEXPLAINED_SECONDS)

    quiet = calls.during(head_side.refresh)
    launcher.launch(request(2))
    local.advance(BOOT)
    changed = calls.during(head_side.refresh)

    assert len(quiet) <= READ_WORK + 1  # now and then, to be sure
    assert len(changed) == READ_WORK + 2  # tasks and platform nodes: a page of each


@pytest.mark.usefixtures("small_pages")
def test_changes_that_do_not_add_up_are_no_listing(head_side, grown, lose, calls, monkeypatch):
    ids = grown(MANY)
    monkeypatch.setattr(head_side.platform, "ended_tasks", lambda *_: [])

    lose(ids[3])
    made = calls.during(head_side.refresh)

    assert listed(head_side) == set(ids) - {ids[3]}
    assert sum(call == "GET /work/tasks" for call in made) >= MANY / PAGE


def test_now_and_then_all_is_read_in_place_of_the_counts(local, head_side, grown, calls):
    grown(2)
    before = head_side.snapshot
    local.advance(FULL_READING_SECONDS)

    assert calls.during(head_side.refresh) == ["GET /work/tasks"]
    assert head_side.snapshot is before


def test_an_abort_that_somebody_else_has_asked_for_is_seen_though_nothing_counts_it(local, head_side, grown):
    ids = grown(2)
    local.platform.tasks.cancel(local.platform.store.work_by_name("demo", "demo").groups[-1].names[ids[0]], abort=True)

    local.advance(0)
    head_side.refresh()
    local.advance(FULL_READING_SECONDS)
    head_side.refresh()

    assert listed(head_side) == {ids[1]}


def test_counts_that_cannot_be_explained_are_not_asked_for_on_every_tick_for_ever(
    local, head_side, grown, calls, monkeypatch
):
    grown(2)
    live = head_side.platform.live_tasks
    monkeypatch.setattr(head_side.platform, "live_tasks", lambda work: live(work)[:-1])
    head_side._listing._groups.clear()

    readings = []
    for _ in range(24):
        readings.append("GET /work/tasks" in calls.during(head_side.refresh))
        local.advance(5)

    settled = readings[int(UNEXPLAINED_SECONDS / 5) + 1 :]
    assert all(readings[: int(UNEXPLAINED_SECONDS / 5)])
    assert 0 < sum(settled) <= len(settled) / 3
