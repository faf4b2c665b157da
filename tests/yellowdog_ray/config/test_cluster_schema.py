"""The JSON schema of a cluster's YAML: it is current, complete, and refuses what it can express."""

import json
import re
from pathlib import Path

import jsonschema
import pytest
import ray
import yaml

from tests.yellowdog_ray.ray_cli import complete
from tests.yellowdog_ray.yaml_mistakes import BEFORE_THE_PROVIDER, FOUND_BY_RAYDOG, WORKER, YamlMistake
from yellowdog_ray.config.cluster_schema import cluster_schema, schema_text
from yellowdog_ray.config.models import ProviderSettings, parse_provider
from yellowdog_ray.config.node_config import NodeConfig, parse_node_config
from yellowdog_ray.config.ray_keys import ray_mistakes

ROOT = Path(__file__).parents[3]
STORED = ROOT / "schemas/raydog-cluster.schema.json"
LOCKED_RAY = re.search(r"^ray==(\S+)", (ROOT / "requirements/dev.txt").read_text(), re.MULTILINE)
EXAMPLES = sorted((ROOT / "examples").rglob("*.yaml"))
LINE = "# yaml-language-server: $schema="

NOT_EXPRESSED = {
    "available_node_types.worker.min_workers: 1.0": "1.0 is an integer of JSON",
    "available_node_types.worker.resources: {1: 1}": "keys of JSON are text",
    "head_node_type: 'boss'": "no rule between a value and the keys elsewhere",
    "idle_timeout_minutes: nan": "JSON has no such number",
    "provider.ray_worker_node_task_script: 'file:nope'": "no file is read",
    "auth.ssh_private_key: '/nope'": "no file is read",
    "auth.ssh_public_key: '/nope'": "no file is read",
    "metadata: {'from': datetime.da": "JSON has no dates",
    "metadata: {'key': b'x'}": "JSON has no bytes",
}
"""The mistakes that the schema accepts, with the reason."""


@pytest.fixture(scope="module")
def validator():
    return jsonschema.Draft7Validator(cluster_schema())


def errors_of(validator, config) -> list[str]:
    return [f"{error.json_path}: {error.message[:100]}" for error in validator.iter_errors(config)]


@pytest.mark.skipif(LOCKED_RAY is None or ray.__version__ != LOCKED_RAY[1], reason="the schema is the locked Ray's")
def test_stored_schema_is_current():
    assert STORED.read_text() == schema_text(), "run: scripts/docs reference"


def test_every_key_is_described():
    """Of Ray's sections and RayDog's. Names of node types, labels and resources are the user's."""

    def undescribed(schema, place=""):
        for key, value in schema.get("properties", {}).items():
            if "description" not in value:
                yield f"{place}.{key}"
            yield from undescribed(value, f"{place}.{key}")
        for value in schema.get("patternProperties", {}).values():
            yield from undescribed(value, f"{place}.*")

    assert [key for key in undescribed(cluster_schema()) if "docker." not in key] == []


def test_keys_are_those_of_the_models():
    schema = cluster_schema()["properties"]
    (node_type,) = schema["available_node_types"]["patternProperties"].values()

    assert set(ProviderSettings.model_fields) - {"internal"} <= set(schema["provider"]["properties"])
    assert set(NodeConfig.model_fields) == set(node_type["properties"]["node_config"]["properties"])
    assert "_raydog" not in schema["provider"]["properties"]


def test_good_configuration_is_accepted(validator, cluster_yaml):
    assert errors_of(validator, complete(cluster_yaml)) == []


UNUSUAL = [
    YamlMistake(place, value, ())
    for place, value in [
        (("provider", "cluster_tag"), None),
        (("provider", "files_to_upload"), {"~/x": "y"}),
        (("provider", "ray_auth"), None),
        (("provider", "auth"), {"ssh_user": "me"}),
        (("auth", "ssh_proxy_command"), "nc %h %p"),
        ((*WORKER, "labels"), {"example.com/zone_1": "x", "empty": ""}),
        ((*WORKER, "resources"), None),
        ((*WORKER, "resources"), {"CPU": 0, "TPU": 4, "object_store_memory": 0}),
        ((*WORKER, "docker"), {"pull_before_run": True}),
        ((*WORKER, "node_config"), {"worker_pool": "ydid:wrkrpool:x", "userdata": None}),
        (("docker",), {}),
        (("file_mounts",), {"~/x": "y"}),
        (("metadata",), {"anything": [1]}),
    ]
]


@pytest.mark.parametrize("change", UNUSUAL, ids=str)
def test_what_raydog_accepts_is_accepted(validator, cluster_yaml, change):
    config = change.made_in(complete(cluster_yaml))

    assert ray_mistakes(config) == []
    parse_provider(config["provider"], "cluster.yaml")
    parse_node_config(config["available_node_types"]["worker"]["node_config"], "cluster.yaml", "worker")
    assert errors_of(validator, config) == []


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
class TestExamples:
    def test_example_is_accepted(self, validator, file):
        text = re.sub(r"<your-namespace(/[\w-]+)?>", r"my-team\1", file.read_text())

        assert errors_of(validator, yaml.safe_load(text)) == []

    def test_first_line_names_the_schema(self, file):
        line, _, _ = file.read_text().partition("\n")

        assert line.startswith(LINE)
        assert (file.parent / line.removeprefix(LINE)).resolve() == STORED


def test_mistakes_are_refused_except_those_that_no_schema_expresses(validator, cluster_yaml):
    mistakes = [*FOUND_BY_RAYDOG, *(made for made, _ in BEFORE_THE_PROVIDER.values())]
    accepted = {
        str(mistake)
        for mistake in mistakes
        if not errors_of(validator, as_json(mistake.made_in(complete(cluster_yaml))))
    }

    assert sorted(accepted) == sorted(NOT_EXPRESSED)


@pytest.mark.parametrize("key", ["max_workers", "cluster_name", "provider", "auth", "head_node_type", "setup_commands"])
def test_missing_key_is_refused(validator, cluster_yaml, key):
    config = complete(cluster_yaml)
    del config[key]

    assert errors_of(validator, config) != []


def as_json(config):
    """The configuration with keys as JSON has them, as an editor reads a YAML."""
    return json.loads(json.dumps(config, default=str))
