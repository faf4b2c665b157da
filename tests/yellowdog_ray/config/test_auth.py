"""The YAML's `auth`: where it may be, and what of it is checked."""

from tests.yellowdog_ray.config.test_bootstrap import error_of, run


class TestSection:
    def test_result_has_the_expanded_path_of_the_ssh_key(self, cluster_yaml, tmp_path, monkeypatch):
        monkeypatch.setenv("HOME", str(tmp_path))
        cluster_yaml["auth"]["ssh_private_key"] = "~/id_ed25519"

        assert run(cluster_yaml, tmp_path)["auth"]["ssh_private_key"] == str(tmp_path / "id_ed25519")

    def test_auth_is_accepted_under_provider_alone(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["auth"] = cluster_yaml.pop("auth")

        result = run(cluster_yaml, tmp_path)

        assert result["auth"]["ssh_user"] == "yd-agent"
        assert result["auth"] == result["provider"]["auth"]

    def test_auth_is_accepted_in_both_places(self, cluster_yaml, tmp_path):
        cluster_yaml["provider"]["auth"] = dict(cluster_yaml["auth"])

        assert run(cluster_yaml, tmp_path)["auth"]["ssh_user"] == "yd-agent"


class TestMissingKey:
    def test_missing_ssh_private_key_is_refused(self, cluster_yaml, tmp_path):
        del cluster_yaml["auth"]["ssh_private_key"]

        assert "auth.ssh_private_key is missing" in error_of(cluster_yaml, tmp_path)
