"""The shell scripts of a YAML, as this machine's bash reads them. No script runs."""

import platform
from importlib import metadata
from pathlib import Path

import pytest

from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.config.shell_scripts import check_scripts_of, stated_versions
from yellowdog_ray.errors import ConfigError

HEAD = "ray_head_node_task_script"
EXAMPLE = Path(__file__).parents[3] / "examples/autoscaler/scripts/node-setup.sh"


def check(text: str, key: str = HEAD) -> None:
    check_scripts_of({key: text}, (key,), "c.yaml", "provider")


@pytest.mark.parametrize("key", [HEAD, "userdata"])
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("#!/bin/bash\nset -e\nif true; then\n  ray start\n", 5),
        ("ray start\nfor x in; do\nfi\n", 3),
        ('ray start "--head\n', 2),
        ("if x; then\nray start\nexit 0\n", 4),
    ],
)
def test_script_with_a_syntax_error_is_refused_with_its_line(key, text, line):
    with pytest.raises(
        ConfigError, match=rf"^c.yaml: provider.{key}: bash cannot read line [{line - 1}{line}] \(.+\): "
    ):
        check(text, key)


@pytest.mark.parametrize(
    "text",
    [
        "#!/usr/bin/env bash\nray start --head\n",
        "#!/usr/bin/env -S bash -e\nray start --head\n",
        "ray start\ncat <<'END'\n'\nEND\n",
        "tail -n +3 $0 | tar -xz\nexit 0\n\x1f'(if )\n",
        "shopt -s extglob\nray start\nls !(a|b)\n",
        'main "$@"; exit\n((\n',
        "{ ray start; exit 0; }\n((\n",
        "ray start\nexec sleep 1\n((\n",
        "#!/bin/sh\n'''exec' python3 \"$0\"\n' '''\nprint((1, 2))\n",
        EXAMPLE.read_text(),
    ],
)
@pytest.mark.parametrize("key", [HEAD, "userdata"])
def test_script_that_bash_can_read_passes(key, text):
    check(text, key)


def test_syntax_of_dash_is_that_of_its_own_scripts_only():
    for key, text in ((HEAD, "#!/bin/dash\na=(1 2)\n"), ("userdata", "#!/bin/bash\na=(1 2)\n")):
        check(text, key)
    with pytest.raises(ConfigError, match=r"userdata: dash cannot read line 2 \(Syntax error: .+\): correct"):
        check("#!/bin/dash\na=(1 2)\n", "userdata")


def test_no_part_of_a_script_runs(tmp_path):
    check(f"touch {tmp_path}/made\n")

    assert list(tmp_path.iterdir()) == []


def test_task_script_of_another_interpreter_is_refused():
    with pytest.raises(ConfigError, match="names `python3`, and YellowDog's task type `bash` runs it in bash"):
        check("#!/usr/bin/env python3\nprint()\n")


@pytest.mark.parametrize("text", ["#!/usr/bin/python3\nprint('(')\n", "#cloud-config\nruncmd: [']']\n"])
def test_userdata_of_another_format_is_not_read(text):
    check(text, "userdata")


@pytest.mark.parametrize(
    ("text", "ray", "python"),
    [
        ('RAY_VERSION="${RAY_VERSION:-2.60.0}"', {"2.60.0"}, set()),
        ("pip install 'ray[default,client]==2.50.1' ray-shuffling==0.1.0", {"2.50.1"}, set()),
        ('PYTHON="${PYTHON:-python3.11}"', set(), {"3.11"}),
        ("python3.10 -m venv x; uv venv --python 3.12", set(), {"3.10", "3.12"}),
        ("echo 'set PYTHON=python3.11'; echo PYTHON=python3.12 >&2", set(), set()),
        ('fail "$("$PYTHON" --version) is too old: set PYTHON=python3.12, and ray==2.1.0"', set(), set()),
        ("echo 'ray==2.1.0 numpy' >requirements.txt", {"2.1.0"}, set()),
        ("su - me -c 'python3.11 -m venv x' && pip install \\\n  'ray==2.1.0 ; x'", {"2.1.0"}, {"3.11"}),
        ("# pip install ray==2.1.0\npython3 -m venv x; PYTHON=python3", set(), set()),
    ],
)
def test_versions_of_a_script_are_found(text, ray, python):
    assert stated_versions(text) == (ray, python)


def test_own_set_up_script_states_no_version_of_python():
    script = EXAMPLE.read_text()

    assert stated_versions(script)[1] == set()


def warnings_of(config, folder) -> list[str]:
    return bootstrap(config, "c.yaml", [folder])[1]


def test_other_versions_of_a_script_give_one_warning(cluster_yaml, tmp_path):
    node_config = cluster_yaml["available_node_types"]["worker"]["node_config"]
    node_config["userdata"] = f"pip install ray==2.1.0\npython{platform.python_version()[:4]} -m venv x\n"

    (warning,) = warnings_of(cluster_yaml, tmp_path)

    assert "available_node_types.worker.node_config.userdata installs Ray 2.1.0, and this machine has Ray" in warning


def test_the_same_versions_give_no_warning(cluster_yaml, tmp_path):
    node_config = cluster_yaml["available_node_types"]["head"]["node_config"]
    node_config["userdata"] = f"pip install 'ray[default]=={metadata.version('ray')}'\n"

    assert warnings_of(cluster_yaml, tmp_path) == []


@pytest.mark.parametrize(("kind", "effect"), [("head", "`ray up` fails"), ("worker", "no worker joins")])
def test_task_script_without_ray_start_gives_a_warning(cluster_yaml, tmp_path, kind, effect):
    cluster_yaml["provider"][f"ray_{kind}_node_task_script"] = "sleep infinity\n"

    (warning,) = warnings_of(cluster_yaml, tmp_path)

    assert f"provider.ray_{kind}_node_task_script does not contain `ray start`: add it" in warning
    assert effect in warning


def test_start_commands_replace_ray_start_of_the_script(cluster_yaml, tmp_path):
    cluster_yaml["provider"][HEAD] = "sleep infinity\n"
    cluster_yaml["head_start_ray_commands"] = ["ray start --head"]

    assert warnings_of(cluster_yaml, tmp_path) == []


@pytest.mark.parametrize("key", ["setup_commands", "worker_setup_commands"])
def test_commands_that_install_another_ray_give_one_warning(cluster_yaml, tmp_path, key):
    cluster_yaml[key] = ["pip install -U 'ray[default]==2.9.3'"]
    cluster_yaml["head_setup_commands"] = list(cluster_yaml["setup_commands"])  # as Ray merges them

    (warning,) = warnings_of(cluster_yaml, tmp_path)

    assert f"c.yaml: {key} installs Ray 2.9.3, and this machine has" in warning


@pytest.mark.parametrize(
    ("head", "worker", "warned"),
    [
        ("ray start --head --port=6380 --block", "ray start --address=$RAY_HEAD_IP:6379", True),
        ("ray start --head \\\n  --port 6380", 'ray start --address="$RAY_HEAD_IP:6380"', False),
        ("ray start --head", "ray start --address=$RAY_HEAD_IP:6379", False),
        ("ray start --head", "ray start --address=$RAY_HEAD_IP:6380", True),
        ("# ray start --head --port=1\nray start --head", "ray start --address $RAY_HEAD_IP:6379", False),
        ("ray start --head --port=$PORT", "ray start --address=$RAY_HEAD_IP:$PORT", False),
        ("ray start --head --port=$PORT", "ray start --address=$RAY_HEAD_IP:6380", False),
        ("./start-ray.sh", "ray start --address=$RAY_HEAD_IP:7000", False),
    ],
)
def test_workers_that_join_at_another_port_give_a_warning(cluster_yaml, tmp_path, head, worker, warned):
    cluster_yaml["provider"] |= {HEAD: f"{head}\n", "ray_worker_node_task_script": f"{worker}\n"}

    warnings = [warning for warning in warnings_of(cluster_yaml, tmp_path) if "joins at port" in warning]

    assert len(warnings) == warned


def test_default_scripts_give_no_warning(cluster_yaml, tmp_path):
    assert warnings_of(cluster_yaml, tmp_path) == []


def test_script_to_copy_with_windows_line_ends_gives_a_warning(cluster_yaml, tmp_path):
    (tmp_path / "files").mkdir()
    for name, text in {"a.sh": b"#!/bin/sh\r\necho\r\n", "b.sh": b"#!/bin/sh\necho\n", "c.sh": b"a\r\n"}.items():
        (tmp_path / "files" / name).write_bytes(text)
    (tmp_path / "run").write_bytes(b"#!/bin/bash\r\n")
    cluster_yaml["file_mounts"] = {"~/files": str(tmp_path / "files")}
    cluster_yaml["provider"]["files_to_upload"] = [str(tmp_path / "run")]

    first, second = (warning for warning in warnings_of(cluster_yaml, tmp_path) if "line ends" in warning)

    assert f"c.yaml: file_mounts: {tmp_path}/files/a.sh has the line ends of Windows" in first
    assert f"run `sed -i 's/\\r$//' {tmp_path}/run`" in second


def test_script_of_the_yaml_loses_windows_line_ends(cluster_yaml, tmp_path):
    cluster_yaml["provider"][HEAD] = "#!/bin/bash\r\nif true; then\r\nray start --head\r\nfi\r\n"

    config, _ = bootstrap(cluster_yaml, "c.yaml", [tmp_path])

    assert config["provider"][HEAD] == "#!/bin/bash\nif true; then\nray start --head\nfi\n"


def test_script_named_by_file_loses_windows_line_ends(cluster_yaml, tmp_path):
    (tmp_path / "head.sh").write_bytes(b"#!/bin/bash\r\nray start --head\r\n")
    cluster_yaml["provider"][HEAD] = "file:head.sh"

    config, warnings = bootstrap(cluster_yaml, "c.yaml", [tmp_path])

    assert (config["provider"][HEAD], warnings) == ("#!/bin/bash\nray start --head\n", [])
