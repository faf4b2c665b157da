"""The announced ends of idle clusters: `raydog list` reads them from the names of the heads' records."""

from datetime import timedelta

import pytest

from tests.yellowdog_ray.inventory.conftest import publish
from yellowdog_local import faults
from yellowdog_ray.cluster.published import IDLE_NOTICE, HeadState, Notice
from yellowdog_ray.inventory.idle_ends import MOST_AGE

MINUTES = timedelta(minutes=30)


def announce(cluster, end=MINUTES) -> HeadState:
    """Publish that a cluster ends after so long; None withdraws it."""
    cluster.find()
    at = None if end is None else (cluster.platform.clock.now() + end).replace(microsecond=0)
    return publish(cluster, notices=[] if at is None else [Notice(kind=IDLE_NOTICE, text="idle since 09:00", at=at)])


def end_of(state: HeadState) -> str:
    (notice,) = state.notices
    assert notice.at is not None
    return notice.at.isoformat()


def test_list_and_status_show_the_announced_end_of_the_cluster_that_announced_it(local, raydog, with_workers):
    state = announce(with_workers("demo", 0))
    with_workers("other", 0)
    local.advance(60)

    demo, other = raydog.json("list")["clusters"]
    status = raydog.json("status", "demo")["cluster"]

    assert demo["idleEnd"] == status["idleEnd"] == end_of(state)
    assert demo["idleEndLeftSeconds"] == pytest.approx((MINUTES - timedelta(seconds=60)).total_seconds(), abs=10)
    assert (other["name"], other["idleEnd"], other["idleEndLeftSeconds"]) == ("other", None, None)


def test_list_shows_the_time_left_in_its_column(local, raydog, with_workers):
    announce(with_workers("demo", 0))
    local.advance(60)

    header, line = raydog.run("list").stdout.splitlines()

    column = header.index("IDLE END")
    assert line[column:].startswith(("in 28 min", "in 29 min"))


def test_withdrawn_end_is_not_shown(local, raydog, with_workers):
    cluster = with_workers("demo", 0)
    announce(cluster)
    local.advance(10)
    announce(cluster, None)

    assert [one["idleEnd"] for one in raydog.json("list")["clusters"]] == [None]


def test_end_of_a_head_that_has_stopped_publishing_is_not_shown(local, raydog, with_workers):
    announce(with_workers("demo", 0))
    local.advance(MOST_AGE.total_seconds() + 1)

    assert [one["idleEnd"] for one in raydog.json("list")["clusters"]] == [None]
    assert raydog.json("status", "demo")["cluster"]["idleEnd"] is None


def test_end_of_a_cluster_whose_head_has_ended_is_not_shown(local, raydog, with_workers):
    cluster = with_workers("demo", 1)
    announce(cluster)
    head = next(task for task in local.platform.store.tasks.values() if str(task.entity.name).startswith("head-"))
    local.platform.tasks.cancel_by_user(head, abort=True)
    local.advance(60)

    (demo,) = raydog.json("list")["clusters"]

    assert (demo["state"], demo["idleEnd"]) == ("headless", None)


def test_record_with_a_foreign_name_announces_nothing(local, raydog, with_workers):
    cluster = with_workers("demo", 0)
    tag = cluster.groups[0].worker_tag.replace("-head-", "-info-")
    cluster.platform.create_document("head-info-ffffffff-0123456789ab-ends-20990101t000000z", tag, "{}")

    assert [one["idleEnd"] for one in raydog.json("list")["clusters"]] == [None]


def test_list_searches_the_records_of_all_clusters_with_one_call(local, raydog, with_workers):
    for name in ("demo", "other"):
        announce(with_workers(name, 0))
    mark = local.calls.mark()

    shape = raydog.json("list")

    assert None not in [one["idleEnd"] for one in shape["clusters"]]
    assert local.calls.count("GET /work/requirements", since=mark) == 2  # the clusters, and the records


def test_list_without_clusters_searches_no_records(local, raydog):
    mark = local.calls.mark()

    raydog.run("list")

    assert local.calls.count("*", since=mark) == 3


def test_list_warns_and_succeeds_if_records_cannot_be_read(local, raydog, with_workers):
    announce(with_workers("demo", 0))
    rule = faults.Status(call="GET /work/requirements", status=403, nth=2)

    with local.faults.during(rule):
        result = raydog.run("list")
    with local.faults.during(rule):
        shape = raydog.json("list")

    assert result.exit_code == 0
    assert len(result.stdout.splitlines()) == 2
    assert "warning: announced ends of idle clusters could not be read: " in result.stderr
    assert [one["idleEnd"] for one in shape["clusters"]] == [None]
    assert shape["unreadIdleEnds"]
