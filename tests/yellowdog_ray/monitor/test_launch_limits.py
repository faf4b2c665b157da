"""The limits of node types that back off, in the head's configuration file."""

import json
from collections import Counter

import pytest

from yellowdog_ray.cluster.backoff import BackOff
from yellowdog_ray.errors import NoCapacity, Refused
from yellowdog_ray.monitor.launch_limits import LaunchLimits, LimitExceeded
from yellowdog_ray.monitor.reload import HeadFile
from yellowdog_ray.provider import RayDogNodeProvider

OWN = {"max_workers": 10, "min_workers": 2}


class Lab:
    """A head's file, a back-off, and the limits of one life of the autoscaler."""

    def __init__(self, path, config) -> None:
        self.path = path
        self.now = 1000.0
        config["available_node_types"]["worker"].update(OWN)
        self.config = RayDogNodeProvider.bootstrap_config(config)
        path.write_text(json.dumps(self.config))
        self.restart()

    def restart(self) -> None:
        self.backoff = BackOff(lambda: self.now)
        self.limits = LaunchLimits("demo", self.backoff, lambda: self.now, self.path)

    def tick(self, workers: int = 0) -> None:
        self.limits.tick({"worker": workers})

    def fail(self, times: int = 1) -> None:
        for _ in range(times):
            self.backoff.failed("worker", Refused("no"))

    @property
    def read(self) -> dict[str, int]:
        kind = json.loads(self.path.read_text())["available_node_types"]["worker"]
        return {key: kind[key] for key in OWN}


@pytest.fixture
def lab(tmp_path, cluster_yaml) -> Lab:
    return Lab(tmp_path / "ray_bootstrap_config.yaml", cluster_yaml)


def test_file_is_not_touched_without_failure(lab):
    before = lab.path.stat()

    lab.tick(3)

    assert lab.path.stat() == before


def test_limit_is_the_number_of_nodes_during_back_off(lab):
    lab.tick(3)
    lab.fail()
    lab.tick(3)

    assert lab.read == {"max_workers": 3, "min_workers": 2}
    lab.tick(1)
    assert lab.read == {"max_workers": 1, "min_workers": 1}
    assert lab.path.stat().st_mode & 0o777 == 0o600


def test_limits_are_restored_when_a_node_joins(lab):
    lab.fail()
    lab.tick(1)
    lab.backoff.joined("worker")
    lab.tick(1)

    assert lab.read == OWN
    assert json.loads(lab.path.read_text()) == lab.config


def test_one_node_is_allowed_after_the_back_off(lab):
    lab.fail()
    lab.tick(3)
    lab.now += 6
    lab.tick(3)

    assert lab.read["max_workers"] == 4


def test_next_probe_waits_while_accepted_node_has_not_joined(lab):
    lab.backoff.failed("worker", NoCapacity("none left"))
    lab.now += 6
    with lab.limits.launching("worker", 1, lambda: Counter(worker=4)):
        lab.backoff.accepted("worker")

    assert lab.read["max_workers"] == 4
    lab.now += 61
    lab.tick(4)
    assert lab.read["max_workers"] == 5


def test_nodes_being_launched_count_as_there(lab):
    with lab.limits.launching("worker", 5, lambda: Counter(worker=1)):
        lab.fail()
        lab.tick(1)
        assert lab.read["max_workers"] == 6
    lab.tick(1)

    assert lab.read["max_workers"] == 1


def test_tick_is_skipped_when_more_nodes_appear_than_the_limit(lab):
    lab.fail()
    lab.tick(3)

    with pytest.raises(LimitExceeded):
        lab.tick(4)

    assert lab.read["max_workers"] == 4
    lab.tick(4)


def test_restarted_autoscaler_restores_limits_of_an_earlier_life(lab):
    lab.fail()
    lab.tick(1)
    lab.restart()

    lab.tick(1)

    assert lab.read == OWN


def test_restarted_autoscaler_skips_the_tick_with_more_nodes_than_the_limit_found(lab):
    lab.fail()
    lab.tick(1)
    lab.restart()

    with pytest.raises(LimitExceeded):
        lab.tick(2)

    assert lab.read == OWN
    lab.tick(2)


def test_file_of_another_ray_up_is_kept_and_held(lab):
    lab.fail()
    lab.tick(1)
    lab.config["available_node_types"]["worker"]["max_workers"] = 20
    lab.path.write_text(json.dumps(lab.config))
    lab.tick(1)
    assert lab.read["max_workers"] == 1

    lab.backoff.joined("worker")
    lab.tick(1)

    assert lab.read == {"max_workers": 20, "min_workers": 2}


def test_limit_that_the_user_edits_during_back_off_is_kept(lab):
    lab.fail()
    lab.tick(1)
    config = json.loads(lab.path.read_text())
    config["available_node_types"]["worker"]["max_workers"] = 7
    lab.path.write_text(json.dumps(config))
    lab.tick(1)
    lab.backoff.joined("worker")
    lab.tick(1)

    assert lab.read["max_workers"] == 7


def test_file_that_is_replaced_meanwhile_is_left_alone(lab, monkeypatch):
    lab.fail()
    dumps = json.dumps

    def replaced_meanwhile(config):
        lab.path.write_text("{ }")
        return dumps(config)

    monkeypatch.setattr("yellowdog_ray.monitor.launch_limits.json.dumps", replaced_meanwhile)
    lab.tick(1)

    assert lab.path.read_text() == "{ }"
    assert [path.name for path in lab.path.parent.glob("*bootstrap*")] == [lab.path.name]


@pytest.mark.parametrize("text", ["{", "[1]", "{}", '{"cluster_name": "other", "provider": {}}'])
def test_file_that_is_not_this_clusters_is_left_alone(lab, caplog, text):
    lab.path.write_text(text)
    lab.fail()

    lab.tick(1)
    lab.tick(1)

    assert lab.path.read_text() == text
    assert len(caplog.records) == 1


def test_held_limits_are_readable_settings(lab):
    lab.fail()
    lab.tick(1)

    assert HeadFile("demo", lab.path).changed_settings() is not None
