"""The configuration file on the head, and its replacement by another `ray up`."""

import json

import pytest

from yellowdog_ray.monitor.reload import HeadFile
from yellowdog_ray.provider import RayDogNodeProvider


class TestHeadFile:
    @pytest.fixture
    def file(self, tmp_path, cluster_yaml):
        self.config = RayDogNodeProvider.bootstrap_config(cluster_yaml)
        path = tmp_path / "ray_bootstrap_config.yaml"
        path.write_text(json.dumps(self.config))
        return path

    def test_changed_settings_returns_settings_once_per_change(self, file):
        head_file = HeadFile("demo", file)

        assert head_file.changed_settings() is not None
        assert head_file.changed_settings() is None
        self.config["provider"]["cluster_tag"] = "changed"
        file.write_text(json.dumps(self.config))
        assert head_file.changed_settings().cluster_tag == "changed"

    @pytest.mark.parametrize(
        ("section", "key", "value", "is_other"),
        [
            ("provider", "ray_worker_node_task_script", "#!/bin/bash\nother", True),
            (None, "setup_commands", ["other"], True),
            (None, "max_workers", 99, False),
        ],
    )
    def test_change_of_more_than_limits_is_another_recipe(self, file, section, key, value, is_other):
        head_file = HeadFile("demo", file)
        head_file.changed_settings()
        assert not head_file.is_other_recipe, "the first reading"

        (self.config[section] if section else self.config)[key] = value
        file.write_text(json.dumps(self.config))
        head_file.changed_settings()

        assert head_file.is_other_recipe == is_other

    def test_rays_own_limits_are_read_too(self, file):
        self.config["idle_timeout_minutes"] = 7
        self.config["available_node_types"]["worker"]["min_workers"] = 1
        file.write_text(json.dumps(self.config))
        head_file = HeadFile("demo", file)
        head_file.changed_settings()

        assert (head_file.ray_limits.min_workers, head_file.ray_limits.idle_timeout_minutes) == ({"worker": 1}, 7.0)

    def test_changed_settings_ignores_file_of_another_cluster(self, file):
        assert HeadFile("dem", file).changed_settings() is None

    @pytest.mark.parametrize("text", ["{", "[1]", "{}", '{"cluster_name": "demo", "provider": {"x": 1}}'])
    def test_changed_settings_warns_and_keeps_settings_when_file_is_unusable(self, file, text, caplog):
        file.write_text(text)

        assert HeadFile("demo", file).changed_settings() is None
        assert "the previous settings stay in force" in caplog.text

    def test_changed_settings_is_silent_without_file(self, tmp_path, caplog):
        assert HeadFile("demo", tmp_path / "none").changed_settings() is None
        assert caplog.text == ""
