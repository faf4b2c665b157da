"""`raydog validate`: every mistake of a YAML at once, with line and column."""

from datetime import date
from itertools import pairwise

import pytest
import yaml

from tests.yellowdog_ray.ray_cli import complete
from tests.yellowdog_ray.yaml_mistakes import BEFORE_THE_PROVIDER, FOUND_BY_RAYDOG, WORKER, YamlMistake
from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.config.validation import validate
from yellowdog_ray.errors import ConfigError


@pytest.fixture
def write(tmp_path):
    """Writes a YAML file."""

    def write_it(config):
        file = tmp_path / "cluster.yaml"
        file.write_text(config if isinstance(config, str) else yaml.safe_dump(complete(config), sort_keys=False))
        return file

    return write_it


def test_good_file_has_no_findings(write, cluster_yaml):
    assert validate(write(cluster_yaml)) == []


def test_every_mistake_is_found_at_its_line(write, cluster_yaml):
    missed = []
    for mistake in FOUND_BY_RAYDOG:
        file = write(mistake.made_in(cluster_yaml))
        findings = validate(file)
        named = [finding for finding in findings if all(phrase in finding.text for phrase in mistake.phrases)]
        lines = file.read_text().splitlines()
        # The line of the key, or that of the first part of its value.
        places = [line for finding in named for line in lines[max(0, finding.line - 2) : finding.line]]
        if not any(mistake.place[-1] in line for line in places):
            missed.append((str(mistake), findings))

    assert missed == []


@pytest.mark.parametrize("mistake", [name for name in BEFORE_THE_PROVIDER if name != "date"])
def test_mistake_at_which_ray_fails_early_is_found(write, cluster_yaml, mistake):
    made, _ = BEFORE_THE_PROVIDER[mistake]

    findings = validate(write(made.made_in(cluster_yaml)))

    assert len(findings) == 1
    assert str(made.place[0]) in findings[0].text


@pytest.mark.parametrize("key", ["max_workers", "cluster_name", "provider"])
def test_missing_key_is_found(write, cluster_yaml, key):
    del cluster_yaml[key]

    assert f"{key} is missing" in " ".join(finding.text for finding in validate(write(cluster_yaml)))


def test_mistakes_are_found_together_in_the_order_of_the_file(write, cluster_yaml):
    cluster_yaml |= {"max_workers": "2", "idle_timeout_minutes": -1}
    cluster_yaml["provider"] |= {"typo": 1, "cluster_lifetime_hours": -1}
    cluster_yaml["auth"]["ssh_private_key"] = "/nope"

    findings = validate(write(cluster_yaml))

    assert len(findings) == 5
    assert [finding.line for finding in findings] == sorted(finding.line for finding in findings)


MISTAKES_OF_EVERY_KIND = {
    ("cluster_name",): "C1",
    ("max_workers",): "3",
    ("head_node_type",): "boss",
    ("file_mounts",): {"~/x": "no-1", "~/y": "no-2"},
    ("metadata",): {"day": date(2026, 1, 1), 1: "a"},
    ("provider", "cluster_namespace"): "MY",
    ("provider", "bogus\n::error::"): 1,
    ("provider", "files_to_upload"): ["no-3", "no-4"],
    ("provider", "api_key_in_head_task"): "yes",
    ("provider", "use_node_id_as_ip"): 1,
    ("provider", "_raydog"): {},
    ("provider", "ray_head_node_task_script"): "file:no-5",
    ("auth", "ssh_private_key"): "no-6",
    ("auth", "ssh_user"): 5,
    (*WORKER, "resources"): {"CPU": 4.5, "GPU": 10**30},
    (*WORKER, "labels"): {"a b": "c"},
    (*WORKER, "min_workers"): 5,
    (*WORKER, "node_config"): {"compute_requirement_template": "t", "userdata": "file:no-7", "typo": 1},
}


def test_mistakes_of_every_kind_hide_no_other(write, cluster_yaml):
    mistakes = YamlMistake(("x",), 1, (), MISTAKES_OF_EVERY_KIND)
    file = write(mistakes.made_in(cluster_yaml))
    file.write_text(f"{file.read_text()}upscaling_speed: 1:30\nupscaling_speed: 010\n")

    texts = [finding.text for finding in validate(file)]

    assert [text for text in texts if not text.isprintable()] == []
    assert [name for name in "1234567" if not any(f"/no-{name}" in text for text in texts)] == []
    # Four lists have two mistakes, one three; two keys are unknown; three findings are of the text.
    assert len(texts) == len(set(texts)) == len(MISTAKES_OF_EVERY_KIND) + 4 + 2 + 1 + 3


def test_value_that_is_wrong_is_reported_once(write, cluster_yaml):
    cluster_yaml |= {"cluster_name": None, "head_node_type": 1, "available_node_types": {"head": None}, "auth": 1}
    cluster_yaml["provider"]["auth"] = {"ssh_user": 1}

    assert len(validate(write(cluster_yaml))) == 5


def test_empty_keys_of_old_files_are_no_mistake(write, cluster_yaml):
    assert validate(write(cluster_yaml | {"head_node": {}, "worker_nodes": None})) == []


def test_missing_keys_are_reported_once(write):
    texts = [finding.text for finding in validate(write("provider: {}\n"))]

    assert len({text.split(" ")[0] for text in texts}) == len(texts)


@pytest.mark.parametrize(
    ("text", "phrase"),
    [
        ("a: 1\n\tb: 2\n", "indent with spaces instead of tabs"),
        ("a: 1\n---\na: 1\n", "found another document: keep one document"),
        ("a: *b\n", "define an anchor"),
        ("a: !!python/tuple [x]\n", "remove the tag"),
        ("a: [1\nb: 2\n", "correct the indentation, colon or bracket"),
        (
            "a: &a [x, x, x, x]\n"
            + "".join(f"{c}: &{c} [*{p}, *{p}, *{p}, *{p}]\n" for p, c in pairwise("abcdefghijk")),
            "100,000",
        ),
    ],
)
def test_file_that_is_no_yaml_has_a_remedy(write, text, phrase):
    (finding,) = validate(write(text))

    assert phrase in finding.text


def test_duplicate_key_is_found(write, cluster_yaml):
    file = write(cluster_yaml)
    file.write_text(f"{file.read_text()}max_workers: 3\n")

    (finding,) = validate(file)

    assert finding.line == len(file.read_text().splitlines())
    assert "the key max_workers occurs twice" in finding.text


@pytest.mark.parametrize(("text", "line"), [("a: [1\nb: 2\n", 2), ("a: 1\n\tb: 2\n", 2), ("", 1), ("- 1\n", 1)])
def test_file_that_is_no_mapping_is_found(write, text, line):
    (finding,) = validate(write(text))

    assert finding.line == line


def test_warning_is_marked(write, cluster_yaml):
    cluster_yaml["provider"]["api_key_in_head_task"] = True

    (finding,) = validate(write(cluster_yaml))

    assert finding.is_warning


class TestFileThatRayCannotUse:
    @pytest.mark.parametrize("value", ["aws", "External", "local", "fake_multinode", "kuberay", ["x"], None])
    def test_provider_type_that_is_not_external_is_found(self, write, cluster_yaml, value):
        cluster_yaml["provider"]["type"] = value

        assert "write `type: external`" in str(validate(write(cluster_yaml)))

    @pytest.mark.parametrize(
        "value",
        [
            "nope.X",
            "yellowdog_ray.provider.Nope",
            "yellowdog_ray.provider",
            "os.path",
            "yellowdog_ray.raydog.autoscaler.RayDogNodeProvider ",
            "ray.autoscaler.node_provider.NodeProvider",
            "x",
            "",
            None,
            5,
        ],
    )
    def test_provider_module_that_is_not_raydog_is_found(self, write, cluster_yaml, value):
        cluster_yaml["provider"]["module"] = value

        assert "write `module: yellowdog_ray." in str(validate(write(cluster_yaml)))

    @pytest.mark.parametrize("text", ["x: &a [*a]\n", "x: &a {k: *a}\n", f"x: {'[' * 3000}{']' * 3000}\n"])
    def test_file_that_contains_itself_or_is_nested_too_deeply_is_found(self, write, cluster_yaml, text):
        file = write(cluster_yaml)
        file.write_text(file.read_text() + text)

        (finding,) = validate(file)

        assert "write every value out" in finding.text

    @pytest.mark.parametrize("value", ["!!timestamp x", "!!bool x", "!!int x", "!!float x", "2026-99-99", "9" * 5000])
    def test_scalar_that_does_not_fit_its_type_is_found_at_its_place(self, write, cluster_yaml, value):
        file = write(cluster_yaml)
        file.write_text(f"{file.read_text()}metadata:\n  a: {value}\n")

        (finding,) = validate(file)

        assert (finding.line, finding.column) == (len(file.read_text().splitlines()), 6)

    @pytest.mark.parametrize("value", ["!!binary //4=", "2026-01-01", "!!set {a}"])
    def test_value_that_is_no_json_is_found(self, write, cluster_yaml, value):
        file = write(cluster_yaml)
        file.write_text(f"{file.read_text()}metadata:\n  a: {value}\n")

        (finding,) = validate(file)

        assert "metadata.a is of YAML's type" in finding.text
        assert finding.line == len(file.read_text().splitlines())

    @pytest.mark.parametrize("value", ["me", "", {"x": None}])
    def test_copy_of_auth_with_a_mistake_is_refused_by_ray_up_too(self, write, cluster_yaml, tmp_path, value):
        cluster_yaml["provider"]["auth"] = value

        assert "provider.auth" in str(validate(write(cluster_yaml)))
        with pytest.raises(ConfigError, match=r"provider\.auth"):
            bootstrap(cluster_yaml, "cluster.yaml", [tmp_path])


def test_every_text_that_is_no_script_is_found_at_its_key(write, cluster_yaml, tmp_path):
    (tmp_path / "init").write_text("# Packages\n#cloud-config\npackages: [a]\n")
    worker, head = (cluster_yaml["available_node_types"][name]["node_config"] for name in ("worker", "head"))
    worker |= {"userdata": "file:id_ed25519", "extra_userdata": " file:init", "images_id": "$IMAGE"}
    worker["compute_requirement_template"] = "<ns>/<t>"
    head |= {"userdata": "https://x/setup.sh", "extra_userdata": "a\0"}
    cluster_yaml["provider"]["ray_worker_node_task_script"] = "file:id_ed25519"
    file = write(cluster_yaml)
    lines = file.read_text().splitlines()

    found = [(finding.text.split(":")[0], lines[finding.line - 1][finding.column - 1 :]) for finding in validate(file)]

    assert [place.removeprefix("available_node_types.") for place, _ in found] == [
        "provider.ray_worker_node_task_script",
        *("head.node_config.userdata", "head.node_config.extra_userdata"),
        "worker.node_config.compute_requirement_template",
        *("worker.node_config.userdata", "worker.node_config.extra_userdata", "worker.node_config.images_id"),
    ]
    assert [place for place, line in found if not line.startswith(f"{place.rpartition('.')[2]}:")] == []


def test_replaced_key_of_a_cloud_config_is_a_warning_at_its_place(write, cluster_yaml):
    node_config = cluster_yaml["available_node_types"]["worker"]["node_config"]
    node_config |= {"userdata": "#cloud-config\npackages: [a]", "extra_userdata": "#cloud-config\npackages: [b]"}

    (finding,) = validate(write(cluster_yaml))

    assert finding.is_warning
    assert "worker.node_config.extra_userdata replaces `packages` of userdata" in finding.text


def test_good_file_logs_nothing_of_ray(write, cluster_yaml, caplog):
    validate(write(cluster_yaml))

    assert caplog.records == []


def test_cluster_name_with_a_line_break_is_one_finding(write, cluster_yaml):
    cluster_yaml["cluster_name"] = "demo\n"

    (finding,) = validate(write(cluster_yaml))

    assert finding.text.startswith(r"cluster_name 'demo\n' is not a name")
