"""The log of the head's autoscaler has news only: an hour of an idle cluster adds under 100 lines."""

import logging
from collections.abc import Iterator

import pytest

from tests.simulation.config import node_type
from tests.simulation.raylets import Demand
from tests.simulation.test_outages import adds_tasks

TICKS = 30
WANTED = 4
ON_THE_HEAD = ("ray", "yellowdog_ray")
"""The loggers whose lines go to `monitor.log`."""


class Log(logging.Handler):
    """Counts lines as `monitor.log` would show them."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines += record.getMessage().splitlines()


@pytest.fixture
def log(monkeypatch) -> Iterator[Log]:
    """What the head's autoscaler logs from now on."""
    log = Log()
    for name in ON_THE_HEAD:
        logger = logging.getLogger(name)
        monkeypatch.setattr(logger, "level", logging.INFO)
        logger.manager._clear_cache()  # of `isEnabledFor`
        logger.addHandler(log)
    yield log
    for name in ON_THE_HEAD:
        logging.getLogger(name).removeHandler(log)
    logging.getLogger().manager._clear_cache()


def lines_of_ticks(world, log: Log, count: int = TICKS) -> list[str]:
    """The lines of some ticks, at which Ray reads its configuration again as it does on a head."""
    log.lines.clear()
    for _ in range(count):
        world.autoscaler.read_config()
        assert world.tick()
    return list(log.lines)


def test_idle_cluster_logs_nothing_after_the_first_tick(world, log):
    lines_of_ticks(world, log, 2)

    assert lines_of_ticks(world, log) == []


def test_idle_workers_that_min_workers_keeps_are_logged_once(make_world, log):
    head = node_type(resources={"CPU": 0}, max_workers=0)
    world = make_world(available_node_types={"head": head, "worker": node_type(min_workers=2, max_workers=9)})
    first = lines_of_ticks(world, log)  # until they are idle for longer than idle_timeout_minutes

    assert lines_of_ticks(world, log) == []
    assert sum("required by min_worker_nodes" in line for line in first) == (world.autoscaler.version == "v2")


def test_demand_that_no_node_type_fits_is_logged_once(world, log):
    world.want(Demand({"GPU": 1}, 2))
    lines_of_ticks(world, log)

    assert lines_of_ticks(world, log) == []


def test_node_type_in_back_off_is_logged_once_for_each_failure(world, log):
    world.want_cpus(WANTED)
    with world.wire.losing(adds_tasks):
        lines_of_ticks(world, log)
        later = lines_of_ticks(world, log)
        failures = sum("could not be launched" in line for line in later)

    assert failures in (1, 2)  # 60 ticks of 5 s, with back-offs of 5 s to 160 s
    assert sum("are not launched" in line for line in later) <= failures + 1
    assert sum(line.startswith(("Failed to launch", "BaseNodeLauncher: Failed")) for line in later) <= 2 * (
        failures + 1
    )
    assert sum("ALLOCATION_FAILED" in line for line in later) <= failures * WANTED
