"""Values given for a path that cannot be one: refused without being quoted, and never in the way of `ray down`."""

import pytest
import yaml

from tests.yellowdog_ray.ray_cli import complete
from tests.yellowdog_ray.yaml_mistakes import YamlMistake
from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.config.local_files import Need
from yellowdog_ray.config.validation import validate
from yellowdog_ray.errors import ConfigError

BODY = "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW"
KEY = f"-----BEGIN OPENSSH PRIVATE KEY-----\n{BODY}\n-----END OPENSSH PRIVATE KEY-----\n"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBhVcHRpbWUgaXMgbm90IGEga2V5IGF0IGFsbA me@here"
NO_PATHS = {
    "key": (KEY, "give a path, not the key itself"),
    "key in one line": (KEY.replace("\n", " "), "give a path, not the key itself"),
    "body of a key": (BODY, "give a path, not the key itself"),
    "public key": (PUBLIC_KEY, "give a path, not the key itself"),
    "two lines": ("/one\n/two", "give a path, not the text of a file"),
    "NUL": ("/a\0b", "give a path, not the text of a file"),
    "NUL in a user": ("~a\0b/c", "give a path, not the text of a file"),
    "lone surrogate": ("/a\ud800b", "give a path that can be written in UTF-8"),
    "long name": ("/" + "x" * 300, "give a path: this text is longer than one can be"),
    "long path": ("/x" * 3000, "give a path: this text is longer than one can be"),
}
PLACES = {
    "private key": (("auth", "ssh_private_key"), "auth.ssh_private_key"),
    "public key": (("auth", "ssh_public_key"), "auth.ssh_public_key"),
    "script": (("provider", "ray_worker_node_task_script"), "provider.ray_worker_node_task_script"),
    "user data": (
        ("available_node_types", "worker", "node_config", "userdata"),
        "available_node_types.worker.node_config.userdata",
    ),
    "mount": (("file_mounts", "~/data"), "file_mounts.~/data"),
    "upload": (("provider", "files_to_upload", "~/data"), "provider.files_to_upload"),
}


def made(config, place, text):
    keys, _ = PLACES[place]
    value = f"file:{text}" if place in ("script", "user data") else text
    return YamlMistake(keys, value, ()).made_in(config)


@pytest.mark.parametrize("text", NO_PATHS)
@pytest.mark.parametrize("place", PLACES)
class TestValueThatIsNoPath:
    def test_it_is_refused_by_ray_up_without_being_quoted(self, cluster_yaml, tmp_path, place, text):
        value, message = NO_PATHS[text]

        with pytest.raises(ConfigError) as caught:
            bootstrap(made(cluster_yaml, place, value), "cluster.yaml", [tmp_path])

        assert str(caught.value).startswith(f"cluster.yaml: {PLACES[place][1]}: {message}")
        assert "\n" not in str(caught.value)
        assert not any(part in str(caught.value) for part in (BODY, PUBLIC_KEY, "xxxx", "BEGIN"))

    def test_it_is_refused_by_validate_without_being_quoted(self, cluster_yaml, tmp_path, place, text):
        value, message = NO_PATHS[text]
        file = tmp_path / "cluster.yaml"
        file.write_text(yaml.safe_dump(complete(made(cluster_yaml, place, value))))

        (finding,) = validate(file)

        assert finding.text.startswith(f"{PLACES[place][1]}: {message}")

    @pytest.mark.parametrize("need", [Need.NOTHING, Need.SSH_KEY_IF_USABLE])
    def test_commands_that_do_not_need_it_run(self, cluster_yaml, tmp_path, place, text, need):
        config = made(cluster_yaml, place, NO_PATHS[text][0])

        assert bootstrap(config, "cluster.yaml", [tmp_path], need)[0]["cluster_name"] == "demo"


@pytest.mark.parametrize("place", PLACES)
def test_loop_of_links_is_reported_as_a_missing_file(cluster_yaml, tmp_path, place):
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    config = made(cluster_yaml, place, str(loop))

    with pytest.raises(ConfigError, match=f"there is no file.* {loop}"):
        bootstrap(config, "cluster.yaml", [tmp_path])
    for need in (Need.NOTHING, Need.SSH_KEY_IF_USABLE):
        assert bootstrap(config, "cluster.yaml", [tmp_path], need)[0]["cluster_name"] == "demo"


@pytest.mark.parametrize("place", ["private key", "public key", "script"])
def test_folder_in_place_of_a_file_is_named_as_a_folder(cluster_yaml, tmp_path, place):
    with pytest.raises(ConfigError, match=f"{tmp_path} is a directory, not a file"):
        bootstrap(made(cluster_yaml, place, str(tmp_path)), "cluster.yaml", [tmp_path])


@pytest.mark.parametrize(
    "section", [KEY, [KEY], {"ssh_private_key": [KEY], "ssh_user": "me"}, {"ssh_user": KEY}, {KEY: 1}]
)
def test_key_at_a_wrong_place_of_auth_is_never_quoted(cluster_yaml, tmp_path, section):
    with pytest.raises(ConfigError) as caught:
        bootstrap({**cluster_yaml, "auth": section}, "cluster.yaml", [tmp_path])

    assert BODY[:16] not in str(caught.value)
    assert "BEGIN" not in str(caught.value)
