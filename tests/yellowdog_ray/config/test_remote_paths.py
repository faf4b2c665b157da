"""Remote paths of `file_mounts` and `files_to_upload`: RayDog's own and shared ones are refused."""

import pytest

from tests.yellowdog_ray.config.test_local_files import error_of, run


class TestRemotePaths:
    @pytest.mark.parametrize(
        ("remote", "message"),
        [
            ("~/.raydog/credentials", "which RayDog and Ray use themselves"),
            (".raydog", "which RayDog and Ray use themselves"),
            ("/home/yd-agent/.raydog/shell", "which RayDog and Ray use themselves"),
            ("/opt/yellowdog/agent/.raydog/shell", "which RayDog and Ray use themselves"),
            ("~/x/../.raydog/shell", "which RayDog and Ray use themselves"),
            ("~/ray_bootstrap_config.yaml", "which RayDog and Ray use themselves"),
            ("ray_bootstrap_key.pem", "which RayDog and Ray use themselves"),
            ("/", "name a file or directory below it"),
            ("//", "name a file or directory below it"),
            ("", "give a path on the head"),
            (" ", "give a path on the head"),
            ("a\nb", "give a path on the head"),
            ("~", "is or contains the agent's home"),
            ("~/", "is or contains the agent's home"),
            ("/home/ubuntu", "is or contains the agent's home"),
            ("/opt/yellowdog/agent/.", "is or contains the agent's home"),
            ("/opt/yellowdog", "is or contains the agent's home"),
            ("/home", "is or contains the agent's home"),
            ("$HOME/x", "expands no variable"),
            ("~/`id`", "expands no variable"),
            ("~bob/x", "in another user's home"),
            ("~bob", "in another user's home"),
        ],
    )
    @pytest.mark.parametrize("key", ["files_to_upload", "file_mounts"])
    def test_remote_path_that_is_not_the_users_is_refused(self, cluster_yaml, folders, key, remote, message):
        (folders[0] / "a").write_text("x")
        section = cluster_yaml["provider"] if key == "files_to_upload" else cluster_yaml
        section[key] = {remote: "a"}

        assert message in error_of(cluster_yaml, folders)

    @pytest.mark.parametrize(
        "remote", ["~/.ssh/authorized_keys", "~/.raydog2", "~/x/ray_bootstrap_config.yaml", "/etc/x"]
    )
    def test_other_remote_path_is_accepted(self, cluster_yaml, folders, remote):
        (folders[0] / "a").write_text("x")
        cluster_yaml["file_mounts"] = {remote: "a"}

        assert run(cluster_yaml, folders)["file_mounts"] == {remote: str(folders[0] / "a")}

    @pytest.mark.parametrize("key", ["files_to_upload", "file_mounts"])
    def test_file_at_the_place_of_a_folder_is_refused(self, cluster_yaml, folders, key):
        (folders[0] / "a").write_text("x")
        section = cluster_yaml["provider"] if key == "files_to_upload" else cluster_yaml
        section[key] = {"~/d": "a", "d/b": "a"}

        assert "~/d would be a file on the head, and the directory of d/b" in error_of(cluster_yaml, folders)

    def test_file_in_an_uploaded_folder_is_accepted(self, cluster_yaml, folders):
        (folders[0] / "d").mkdir()
        (folders[0] / "a").write_text("x")
        cluster_yaml["file_mounts"] = {"~/d": "d", "~/d/b": "a"}

        assert set(run(cluster_yaml, folders)["file_mounts"]) == {"~/d", "~/d/b"}

    @pytest.mark.parametrize("remote", ["d/b", "~/d/b", "/opt/yellowdog/agent/d/b"])
    def test_one_remote_path_of_both_keys_is_refused_with_two_sources(self, cluster_yaml, folders, remote):
        for name in "ab":
            (folders[0] / name).write_text("x")
        cluster_yaml["provider"]["files_to_upload"] = {"d/b": "b"}
        cluster_yaml["file_mounts"] = {remote: "a"}

        message = error_of(cluster_yaml, folders)

        assert f"file_mounts.{remote}: {folders[0]}/a and {folders[0]}/b, which provider.files_to_upload" in message

    def test_one_remote_path_of_both_keys_is_accepted_with_one_source(self, cluster_yaml, folders):
        (folders[0] / "a").write_text("x")
        cluster_yaml["provider"]["files_to_upload"] = ["a"]
        cluster_yaml["file_mounts"] = {"~/a": "a"}

        assert run(cluster_yaml, folders)["file_mounts"] == {"~/a": str(folders[0] / "a")}

    def test_file_of_one_key_at_the_place_of_the_others_folder_is_refused(self, cluster_yaml, folders):
        (folders[0] / "a").write_text("x")
        cluster_yaml["provider"]["files_to_upload"] = {"d/b": "a"}
        cluster_yaml["file_mounts"] = {"~/d": "a"}

        assert "~/d would be a file on the head, and the directory of d/b" in error_of(cluster_yaml, folders)
