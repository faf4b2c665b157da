"""The models of the YAML's sections."""

import re
from pathlib import Path

import yaml

from yellowdog_ray.config.models import Auth, ProviderSettings
from yellowdog_ray.config.node_config import NodeConfig

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/configuration.md").read_text()
EXAMPLE = (ROOT / "examples/autoscaler/raydog.yaml").read_text()
FIELDS = {
    key: field
    for model in (ProviderSettings, NodeConfig)
    for key, field in model.model_fields.items()
    if key != "internal"
}
DEFAULTS = {key: field.default for key, field in FIELDS.items() if isinstance(field.default, int | float)}


class TestConfigurationPage:
    """A key has one description: in the models, in the schema made of them, and in the page."""

    def test_row_of_each_key_has_its_description(self):
        rows = dict(re.findall(r"^\| `(\w+)` \|(?:[^|]*\|)? ([^|]*) \|$", PAGE, re.MULTILINE))
        meanings = {key: re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", rows.get(key, "no row")) for key in FIELDS}

        assert meanings == {key: field.description for key, field in FIELDS.items()}

    def test_row_of_each_key_has_its_default(self):
        stated = {key: re.search(rf"^\| `{key}` \| ([^|]*) \|", PAGE, re.MULTILINE) for key in DEFAULTS}

        assert {key: cell and yaml.safe_load(cell[1]) for key, cell in stated.items()} == DEFAULTS

    def test_keys_of_ssh_are_named(self):
        assert [key for key in Auth.model_fields if key != "ssh_public_key" and f"`{key}`" not in PAGE] == []


def test_documented_example_shows_each_default():
    stated = {key: re.search(rf"^ *(?:# )?{key}: (\S+)$", EXAMPLE, re.MULTILINE) for key in DEFAULTS}

    assert {key: value and yaml.safe_load(value[1]) for key, value in stated.items()} == DEFAULTS
