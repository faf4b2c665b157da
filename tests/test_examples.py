"""The examples are what users copy: they must be whole, and true."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.ssh_keys import write_key
from yellowdog_ray.config.bootstrap import bootstrap
from yellowdog_ray.config.models import INTERNAL_KEY, ProviderSettings
from yellowdog_ray.config.node_config import NodeConfig

EXAMPLES = Path(__file__).parents[1] / "examples"
DOCUMENTED = EXAMPLES / "autoscaler" / "raydog.yaml"


def filled_in(file: Path, key: Path) -> dict:
    """An example with its places in <angle brackets> filled in, and a key that is there."""
    text = (
        file.read_text().replace("<path of your private key>", str(key)).replace("~/.raydog/local/id_ed25519", str(key))
    )
    text = re.sub(r"<your-namespace>", "my-team", text)
    return yaml.safe_load(re.sub(r"<your-[a-z]+/([a-z-]+)>", r"my-team/\1", text))


@pytest.mark.parametrize("file", sorted(EXAMPLES.rglob("*.yaml")), ids=lambda file: str(file.relative_to(EXAMPLES)))
def test_example_passes_every_check_without_warning(file, tmp_path):
    key = write_key(tmp_path / "key")

    _, warnings = bootstrap(filled_in(file, key), file.name, [file.parent])

    assert warnings == []


def test_documented_example_shows_every_option():
    text = DOCUMENTED.read_text()
    options = (set(ProviderSettings.model_fields) - {"internal", "auth"}) | set(NodeConfig.model_fields)

    assert INTERNAL_KEY not in text
    assert {option for option in options if f"{option}:" not in text} == set()


def test_yaml_of_the_first_cluster_passes_every_check_without_warning(tmp_path):
    page = (EXAMPLES.parent / "docs/first-cluster.md").read_text()
    (text,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    key = write_key(tmp_path / "key")

    _, warnings = bootstrap(yaml.safe_load(text.replace("~/.ssh/id_ed25519", str(key))), "first.yaml", [tmp_path])

    assert warnings == []
    templates = (EXAMPLES / "autoscaler/templates.json").read_text()
    used = re.findall(r"compute_requirement_template: my-namespace/([a-z-]+)", text)
    assert [name for name in used if f'"name": "{name}"' not in templates] == []


@pytest.mark.parametrize("file", sorted(EXAMPLES.rglob("*.yaml")), ids=lambda file: str(file.relative_to(EXAMPLES)))
def test_example_names_existing_files(file):
    named = re.findall(r"file:([\w/.-]+)", file.read_text())

    assert [name for name in named if not (file.parent / name).is_file()] == []


@pytest.mark.parametrize("script", sorted(EXAMPLES.rglob("*.sh")), ids=lambda script: script.name)
def test_script_prints_help_and_refuses_unknown_arguments(script):
    def run(argument):
        return subprocess.run(["bash", script, argument], capture_output=True, text=True, timeout=10, check=False)

    assert run("--help").returncode == 0
    assert f"  {script.name} [--help]\n" in run("--help").stdout
    assert (run("--hepl").returncode, run("--hepl").stdout) == (1, "")
    assert "unknown argument: --hepl" in run("--hepl").stderr


def test_examples_contain_no_private_key():
    for file in EXAMPLES.rglob("*"):
        if file.is_file():
            assert "PRIVATE KEY" not in file.read_text()
