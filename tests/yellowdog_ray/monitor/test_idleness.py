"""For how long a cluster has been idle: never longer than it really has, whatever cannot be read."""

import logging
from datetime import datetime, timedelta, timezone

import pytest

from yellowdog_ray.monitor.idleness import MAX_GAP_SECONDS, READ_SECONDS, USED_READ_SECONDS, Idleness
from yellowdog_ray.monitor.ray_use import RayUse

NOON = datetime(2025, 1, 1, 12, tzinfo=timezone.utc)


class Cluster:
    """A cluster whose use a test sets; time passes in steps of a tick."""

    def __init__(self, minutes: float | None = 60) -> None:
        self.minutes = minutes
        self.seconds = 0.0
        self.use: RayUse | None = RayUse("", frozenset())
        self.sessions = 0
        self.readings = 0
        self.published: list[tuple[str | None, datetime | None]] = []
        self.idleness = Idleness(
            lambda: self.minutes,
            self._read,
            lambda: self.sessions,
            lambda: self.seconds,
            lambda: NOON + timedelta(seconds=self.seconds),
            lambda *announcement: self.published.append(announcement),
        )

    def _read(self) -> RayUse | None:
        self.readings += 1
        return self.use

    def wait(self, seconds: float) -> None:
        for _ in range(int(seconds / READ_SECONDS)):
            self.idleness.tick()
            self.seconds += READ_SECONDS

    @property
    def is_over(self) -> bool:
        return self.idleness.is_over()


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def announced(caplog):
    caplog.set_level(logging.WARNING)
    return lambda: [text.split(" in ")[1].split(",")[0] for text in caplog.messages if "ends in" in text]


def test_idle_cluster_is_over_after_its_minutes_and_not_before(cluster):
    cluster.wait(3600 - READ_SECONDS)
    assert not cluster.is_over

    cluster.wait(READ_SECONDS)
    assert cluster.is_over


def test_cluster_without_the_key_is_never_over_and_never_read():
    cluster = Cluster(minutes=None)

    cluster.wait(7200)

    assert (cluster.is_over, cluster.readings) == (False, 0)


@pytest.mark.parametrize(
    "change",
    [
        {"use": RayUse("1 driver", frozenset())},
        {"use": None},
        {"sessions": 1},
        {"use": RayUse("", frozenset({b"1"}))},
    ],
    ids=["driver", "no answer", "session", "a job that has ended"],
)
def test_use_begins_the_minutes_anew(cluster, change):
    cluster.wait(3590)
    before = cluster.use
    for name, value in change.items():
        setattr(cluster, name, value)
    cluster.wait(READ_SECONDS)
    cluster.use, cluster.sessions = before, 0

    cluster.wait(3590)
    assert not cluster.is_over

    cluster.wait(10 + USED_READ_SECONDS)
    assert cluster.is_over


def test_use_at_the_last_moment_counts(cluster):
    cluster.wait(3600)
    cluster.sessions = 1

    assert not cluster.is_over


def test_gap_without_readings_begins_the_minutes_anew(cluster):
    cluster.wait(3590)
    cluster.seconds += MAX_GAP_SECONDS + 1

    cluster.idleness.tick()

    assert not cluster.is_over


def test_another_ray_up_begins_the_minutes_anew(cluster):
    cluster.wait(3590)

    cluster.idleness.begin_anew()

    assert cluster.idleness.seconds_left is None


def test_end_is_announced_once_at_each_step(cluster, announced):
    cluster.wait(3600)

    assert announced() == ["30 min", "10 min", "5 min", "60 s"]


def test_short_time_is_announced_at_its_half(announced):
    Cluster(minutes=1).wait(60)

    assert announced() == ["30 s"]


def test_announced_end_that_is_off_is_logged(cluster, caplog):
    cluster.wait(3000)
    cluster.use = RayUse("1 driver (python job.py)", frozenset())
    cluster.wait(2 * READ_SECONDS)

    assert [text for text in caplog.messages if "in use" in text] == [
        "the cluster is in use again (1 driver (python job.py)), and does not end"
    ]


def test_announced_end_is_published_once_and_withdrawn_with_use(cluster):
    cluster.wait(3590)
    assert cluster.published == [
        ("idle since 12:00 UTC; ends at 13:00 UTC unless it is used", NOON + timedelta(seconds=3600))
    ]

    cluster.sessions = 1
    cluster.wait(2 * READ_SECONDS)
    assert cluster.published[1:] == [(None, None)]


def test_final_end_is_neither_withdrawn_nor_delayed(cluster, caplog):
    cluster.wait(3600)
    published = len(cluster.published)
    cluster.idleness.end()
    cluster.sessions = 1

    cluster.wait(60)
    cluster.idleness.begin_anew()

    assert cluster.is_over
    assert len(cluster.published) == published
    assert "does not end" not in caplog.text
