"""The autoscaler's log holds what Ray says at every reading of its configuration once."""

import logging

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config
from ray.autoscaler.v2.instance_manager.config import FileConfigReader

from tests.yellowdog_ray.ray_cli import complete, make_provider
from yellowdog_ray.commands.deliver import for_the_head
from yellowdog_ray.monitor import repeated_lines
from yellowdog_ray.monitor.repeated_lines import drop_repeated_lines
from yellowdog_ray.node import variables
from yellowdog_ray.provider import RayDogNodeProvider

LOGGERS = tuple(repeated_lines._rules(lambda _: False))
"""The modules that log such lines."""

READERS = ("ray.autoscaler._private.util", "ray.autoscaler.v2.instance_manager.config")
"""What reads the configuration file at every tick."""


@pytest.fixture(autouse=True)
def _no_filters(monkeypatch):
    for name in LOGGERS:
        monkeypatch.setattr(logging.getLogger(name), "filters", [])


@pytest.fixture
def head_file(platform, in_a_users_folder, cluster_yaml, tmp_path):
    file = tmp_path / "ray_bootstrap_config.yaml"
    file.write_text(
        yaml.safe_dump(for_the_head(RayDogNodeProvider.bootstrap_config(prepare_config(complete(cluster_yaml)))))
    )
    return file


def lines_of_readings(head_file, caplog, readings: int) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.INFO):
        reader = FileConfigReader(str(head_file), skip_content_hash=False)
        for _ in range(readings):
            reader.refresh_cached_autoscaling_config()
    return [record.getMessage() for record in caplog.records if record.name in READERS]


def test_readings_of_an_unchanged_file_log_nothing_after_the_first(head_file, caplog):
    before = lines_of_readings(head_file, caplog, 10)
    drop_repeated_lines(lambda: 0.0, lambda _: False)
    drop_repeated_lines(lambda: 0.0, lambda _: False)

    first, later = lines_of_readings(head_file, caplog, 1), lines_of_readings(head_file, caplog, 100)

    assert len(before) >= 20  # otherwise Ray has changed, and this module can go
    assert set(first) == set(before)
    assert later == []


def test_provider_on_the_head_drops_repeated_lines(platform, cluster_yaml, monkeypatch):
    monkeypatch.setenv(variables.ON_HEAD, "1")

    make_provider(cluster_yaml)

    assert all(len(logging.getLogger(name).filters) == 1 for name in LOGGERS)


def test_other_lines_are_logged_each_time(caplog):
    drop_repeated_lines(lambda: 0.0, lambda _: False)
    logger = logging.getLogger(LOGGERS[0])

    with caplog.at_level(logging.INFO):
        for _ in range(3):
            logger.warning("%s needs attention", "node type w")

    assert len(caplog.records) == 3


class TestRules:
    """Each rule passes news, and nothing else of its kind."""

    def test_repeated_line_passes_again_after_a_minute_without_it(self):
        rule = repeated_lines.Repeated(r"\d+ node", r"retried in \d+ s")
        line = "3 nodes are retried in {} s, after {} failures"

        assert [rule.drops(line.format(160 - at, 1), at) for at in (0, 1, 59, 118)] == [False, True, True, True]
        assert not rule.drops(line.format(9, 2), 119)
        assert not rule.drops(line.format(9, 1), 179)
        assert not rule.drops("another line", 0)

    def test_repeated_lines_need_bounded_memory(self):
        rule = repeated_lines.Repeated("line")

        assert not any(rule.drops(f"line {number}", 0.0) for number in range(5_000))
        assert len(rule._seen) == 1_000

    def test_status_passes_when_it_differs_and_once_a_minute(self):
        rule = repeated_lines.Status()
        text = "\n======== Autoscaler status: {0} ========\nNode status\n---\n {1}\n w: X (latest_attempt: 01:02:0{0})"

        passed = [at for at, nodes in [(0, 1), (1, 1), (2, 2), (59, 3), (61, 2), (125, 2), (300, 3)]
                  if not rule.drops(text.format(at % 10, nodes), at)]  # fmt: skip

        assert passed == [0, 61, 300]
        assert not rule.drops("another line", 0)

    def test_long_duration_passes(self):
        line = "The autoscaler took {} seconds to fetch the list of non-terminated nodes."
        rule = repeated_lines.Duration()

        assert [rule.drops(line.format(seconds), 0.0) for seconds in (0.123, 4.999, 5.0)] == [True, True, False]
        assert not rule.drops("another line", 0)

    def test_records_of_types_in_back_off_are_dropped(self):
        rule = repeated_lines.BackedOff(lambda node_type: node_type == "a, b")
        line = "Update instance {} (id=x-1, type={}, cloud_instance_id=, ray_id=): text"

        assert rule.drops(line.format("REQUESTED->ALLOCATION_FAILED", "a, b"), 0)
        assert not rule.drops(line.format("REQUESTED->ALLOCATION_FAILED", "a"), 0)
        assert not rule.drops(line.format("RAY_RUNNING->TERMINATED", "a, b"), 0)


def test_malformed_line_passes():
    (news,) = (repeated_lines._News([repeated_lines.Duration()], lambda: 0.0),)

    assert news.filter(logging.makeLogRecord({"msg": "%s %s", "args": ("one",)}))
