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


@pytest.fixture(autouse=True)
def _no_filters(monkeypatch):
    for name in repeated_lines.LOGGERS:
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
    return [record.getMessage() for record in caplog.records if record.name in repeated_lines.LOGGERS]


def test_readings_of_an_unchanged_file_log_nothing_after_the_first(head_file, caplog):
    before = lines_of_readings(head_file, caplog, 10)
    drop_repeated_lines()
    drop_repeated_lines()

    first, later = lines_of_readings(head_file, caplog, 1), lines_of_readings(head_file, caplog, 100)

    assert len(before) >= 20  # otherwise Ray has changed, and this module can go
    assert set(first) == set(before)
    assert later == []


def test_provider_on_the_head_drops_repeated_lines(platform, cluster_yaml, monkeypatch):
    monkeypatch.setenv(variables.ON_HEAD, "1")

    make_provider(cluster_yaml)

    assert all(len(logging.getLogger(name).filters) == 1 for name in repeated_lines.LOGGERS)


def test_other_lines_are_logged_each_time(caplog):
    drop_repeated_lines()
    logger = logging.getLogger(repeated_lines.LOGGERS[0])

    with caplog.at_level(logging.INFO):
        for _ in range(3):
            logger.warning("%s needs attention", "node type w")

    assert len(caplog.records) == 3
