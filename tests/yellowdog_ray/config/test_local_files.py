"""Local files of a YAML: found by one rule, checked before anything is created, never in the way of `ray down`."""

import gzip
import os

import pytest

from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.config.local_files import Need
from yellowdog_ray.errors import ConfigError


def run(config, folders, need=Need.EVERYTHING):
    return bootstrap(config, "cluster.yaml", folders, need)[0]


def error_of(config, folders):
    with pytest.raises(ConfigError) as caught:
        run(config, folders)
    return str(caught.value)


class TestFileMounts:
    def test_missing_source_is_refused_with_key_and_path(self, cluster_yaml, folders):
        cluster_yaml["file_mounts"] = {"~/data": "no/data"}

        message = error_of(cluster_yaml, folders)

        assert f"cluster.yaml: file_mounts.~/data: there is no file or directory {folders[0]}/no/data" in message

    def test_relative_source_is_found_beside_the_yaml(self, cluster_yaml, folders):
        (folders[0] / "data").mkdir()
        cluster_yaml["file_mounts"] = {"~/data": "data"}

        result = run(cluster_yaml, folders)

        assert result["file_mounts"] == {"~/data": str(folders[0] / "data")}
        assert run(result, folders) == result

    def test_link_to_a_file_is_resolved(self, cluster_yaml, folders):
        (folders[1] / "real").write_text("x")
        (folders[0] / "link").symlink_to(folders[1] / "real")
        cluster_yaml["file_mounts"] = {"~/data": "link"}

        assert run(cluster_yaml, folders)["file_mounts"] == {"~/data": str(folders[1] / "real")}

    @pytest.mark.parametrize("kind", ["dangling link", "named pipe"])
    def test_folder_is_refused_with_a_file_that_ray_cannot_read(self, cluster_yaml, folders, kind):
        file = folders[0] / "data" / "part"
        file.parent.mkdir()
        if kind == "named pipe":
            os.mkfifo(file)
        else:
            file.symlink_to("nowhere")
        cluster_yaml["file_mounts"] = {"~/data": "data"}

        assert f"file_mounts.~/data: {file} is no file that can be read" in error_of(cluster_yaml, folders)

    def test_source_that_is_no_path_is_refused(self, cluster_yaml, folders):
        cluster_yaml["file_mounts"] = {"~/data": None}

        assert "file_mounts.~/data is empty: give the path" in error_of(cluster_yaml, folders)


class TestFilesToUpload:
    @pytest.mark.parametrize("files", [["no.txt"], {"~/x": "no.txt"}, ["~nobody-here/no.txt"]])
    def test_missing_file_is_refused_with_its_key(self, cluster_yaml, folders, files):
        cluster_yaml["provider"]["files_to_upload"] = files

        message = error_of(cluster_yaml, folders)

        assert "cluster.yaml: provider.files_to_upload: there is no file or directory" in message
        assert "no.txt" in message

    def test_listed_files_keep_their_relative_path_below_home(self, cluster_yaml, folders, tmp_path):
        places = [folders[0] / "scripts" / "a.sh", tmp_path / "b.conf", tmp_path / "c.txt"]
        for place in places:
            place.parent.mkdir(exist_ok=True)
            place.write_text("x")
        cluster_yaml["provider"]["files_to_upload"] = ["scripts/a.sh", str(tmp_path / "b.conf"), "../c.txt"]

        files = run(cluster_yaml, folders)["provider"]["files_to_upload"]

        assert files == dict(zip(["scripts/a.sh", "b.conf", "c.txt"], map(str, places), strict=True))

    def test_file_that_is_listed_by_two_paths_is_uploaded_once(self, cluster_yaml, folders):
        (folders[0] / "a").write_text("x")
        cluster_yaml["provider"]["files_to_upload"] = [str(folders[0] / "a"), "a"]

        assert run(cluster_yaml, folders)["provider"]["files_to_upload"] == {"a": str(folders[0] / "a")}

    def test_two_files_with_one_remote_path_are_refused(self, cluster_yaml, folders):
        for folder in folders:
            (folder / "a").write_text("x")
        cluster_yaml["provider"]["files_to_upload"] = [str(folder / "a") for folder in folders]

        assert "two files would become ~/a" in error_of(cluster_yaml, folders)

    @pytest.mark.parametrize("remotes", [("x", "./x"), ("x", "~/x"), ("~/d", "~/d/"), ("~/d", "~/./d"), ("/e", "/e/")])
    @pytest.mark.parametrize("key", ["files_to_upload", "file_mounts"])
    def test_two_ways_to_write_one_remote_path_are_refused(self, cluster_yaml, folders, remotes, key):
        (folders[0] / "a").write_text("x")
        section = cluster_yaml["provider"] if key == "files_to_upload" else cluster_yaml
        section[key] = dict.fromkeys(remotes, "a")

        assert f"{key}: two files would become " in error_of(cluster_yaml, folders)


class TestScripts:
    def test_byte_order_mark_is_not_part_of_the_text(self, cluster_yaml, folders):
        (folders[0] / "setup.sh").write_bytes(b"\xef\xbb\xbfecho x\n")
        cluster_yaml["available_node_types"]["worker"]["node_config"]["userdata"] = "file:setup.sh"

        result = run(cluster_yaml, folders)

        assert result["available_node_types"]["worker"]["node_config"]["userdata"] == "echo x\n"

    def test_missing_user_data_is_reported_with_its_node_type(self, cluster_yaml, folders):
        cluster_yaml["available_node_types"]["worker"]["node_config"]["userdata"] = "file:no.sh"

        message = error_of(cluster_yaml, folders)

        assert message.startswith("cluster.yaml: available_node_types.worker.node_config.userdata: ")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("scripts/no.sh", "Write `file:scripts/no.sh`"),
        ("FILE:scripts/x.sh", "Write `file:scripts/x.sh`"),
        ("File: init", "Write `file:init`"),
        ("init", "Write `file:init`"),
        ("cloud.yaml", "Write `file:cloud.yaml`"),
    ],
)
@pytest.mark.parametrize("key", ["userdata", "extra_userdata", "ray_head_node_task_script"])
def test_path_without_its_prefix_is_refused_as_a_script(cluster_yaml, folders, key, text, remedy):
    (folders[0] / "init").write_text("echo x")
    node_config = cluster_yaml["available_node_types"]["worker"]["node_config"]
    (cluster_yaml["provider"] if key.startswith("ray") else node_config)[key] = text

    assert f"{key} is {text!r}, a path and no script. {remedy}" in error_of(cluster_yaml, folders)


@pytest.mark.parametrize("text", ["reboot", "/opt/none/start.sh", "./start.sh\n", "sh x.sh", "file:init"])
def test_command_of_one_word_is_accepted_as_userdata(cluster_yaml, folders, text):
    (folders[0] / "init").write_text("./start.sh")
    cluster_yaml["available_node_types"]["worker"]["node_config"]["userdata"] = text

    assert run(run(cluster_yaml, folders), folders)


@pytest.mark.parametrize("text", [" file:init", "\tfile: init\n"])
def test_spaces_around_the_prefix_of_a_path_are_ignored(cluster_yaml, folders, text):
    (folders[0] / "init").write_text("echo x\n")
    cluster_yaml["available_node_types"]["worker"]["node_config"]["userdata"] = text

    assert run(cluster_yaml, folders)["available_node_types"]["worker"]["node_config"]["userdata"] == "echo x\n"


@pytest.mark.parametrize(
    "text", ["https://example.com/setup.sh", "file:https://example.com/setup", "s3://b/setup.sh\n"]
)
@pytest.mark.parametrize(
    ("key", "remedy"), [("userdata", "`#include` before the address"), ("ray_head_node_task_script", "`curl -fsSL ")]
)
def test_address_of_a_script_is_refused_with_a_way_to_download_it(cluster_yaml, folders, key, remedy, text):
    node_config = cluster_yaml["available_node_types"]["worker"]["node_config"]
    (cluster_yaml["provider"] if key.startswith("ray") else node_config)[key] = text
    address = text.removeprefix("file:").strip()
    remedy = remedy if address.startswith("https") else "let a script download it"

    message = error_of(cluster_yaml, folders)

    assert f"{key}: it is {address!r}, an address, and RayDog downloads nothing: " in message
    assert remedy in message


def test_compressed_file_is_refused_with_its_remedy(cluster_yaml, folders):
    (folders[0] / "init.gz").write_bytes(gzip.compress(b"echo x\n"))
    cluster_yaml["available_node_types"]["worker"]["node_config"]["userdata"] = "file:init.gz"

    assert error_of(cluster_yaml, folders).endswith(": decompress it with `gunzip`")


@pytest.mark.parametrize("text", ["", " \n", "\ufeff"])
@pytest.mark.parametrize("key", ["ray_head_node_task_script", "ray_worker_node_task_script"])
def test_empty_script_is_refused(cluster_yaml, folders, key, text):
    (folders[0] / "script.sh").write_text(text)
    cluster_yaml["provider"][key] = "file:script.sh"

    assert f"cluster.yaml: provider.{key}: {folders[0]}/script.sh is empty" in error_of(cluster_yaml, folders)


@pytest.mark.parametrize(
    ("key", "text", "remedy"),
    [
        ("userdata", "file:", "names no file: write its path after `file:`, or remove the key"),
        (
            "userdata",
            "file:a.sh\nfile:b.sh\n",
            "names 2 files, and a key takes one: name one file, and name the second in `extra_userdata`",
        ),
        ("extra_userdata", "file:a.sh\nfile:b.sh\nfile:c.sh", "names 3 files, and a key takes one: name one file"),
    ],
)
def test_other_number_of_files_than_one_is_refused(cluster_yaml, folders, key, text, remedy):
    cluster_yaml["available_node_types"]["worker"]["node_config"][key] = text

    message = error_of(cluster_yaml, folders)
    assert message == f"cluster.yaml: available_node_types.worker.node_config.{key} {remedy}"


def test_command_that_removes_needs_no_local_file(cluster_yaml, folders, ssh_key):
    ssh_key.unlink()
    cluster_yaml["file_mounts"] = {"~/data": "no/data"}
    cluster_yaml["provider"]["files_to_upload"] = ["no.txt"]
    cluster_yaml["provider"]["ray_head_node_task_script"] = "file:no.sh"
    cluster_yaml["available_node_types"]["worker"]["max_workers"] = -1

    assert run(cluster_yaml, folders, Need.NOTHING)["cluster_name"] == "demo"


class TestLargeFolder:
    def test_check_of_a_large_folder_is_bounded(self, cluster_yaml, folders, monkeypatch):
        (folders[0] / "d").mkdir()
        for name in "abc":
            (folders[0] / "d" / name).write_text("x")
        read = []
        monkeypatch.setattr("yellowdog_ray.config.local_files.MAX_CHECKED_FILES", 2)
        monkeypatch.setattr("os.access", lambda file, _: read.append(file) or True)
        cluster_yaml["file_mounts"] = {"~/d": "d"}

        run(cluster_yaml, folders)

        assert len(read) == 2
