"""The command `raydog` itself: validation, schema and versions."""

import subprocess
import sys

import pytest
import yaml
from typer.testing import CliRunner

from raydog_cli.main import app
from tests.yellowdog_ray.ray_cli import complete
from yellowdog_ray.config.cluster_schema import schema_text


@pytest.fixture
def write(tmp_path):
    """Writes a YAML file."""

    def write_it(config):
        file = tmp_path / "cluster.yaml"
        file.write_text(yaml.safe_dump(complete(config), sort_keys=False))
        return file

    return write_it


class TestCommand:
    def test_mistake_is_shown_with_its_place(self, write, cluster_yaml):
        cluster_yaml["max_workers"] = "2"
        file = write(cluster_yaml)

        result = CliRunner().invoke(app, ["validate", str(file)])

        assert result.exit_code == 1
        line = next(i for i, text in enumerate(file.read_text().splitlines(), 1) if text.startswith("max_workers"))
        assert f"{file}:{line}:1: max_workers is '2'" in result.output

    def test_good_file_is_confirmed(self, write, cluster_yaml):
        result = CliRunner().invoke(app, ["validate", str(write(cluster_yaml))])

        assert (result.exit_code, "no mistake found" in result.output) == (0, True)

    def test_missing_provider_is_reported(self, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "yellowdog_ray.config.validation", None)

        result = CliRunner().invoke(app, ["validate", str(tmp_path)])

        assert result.exit_code == 2
        assert "yellowdog-ray is missing: run `pip install .`" in result.output

    def test_text_of_the_yaml_forges_no_line(self, write, cluster_yaml):
        cluster_yaml["head_node_type"] = "x\n::error::\x1b[31m\ud83d"
        file = write(cluster_yaml)

        result = CliRunner().invoke(app, ["validate", str(file)])

        assert result.exit_code == 1
        assert r"'x\n::error::\x1b[31m\ud83d'" in result.output
        assert len(result.output.splitlines()) == 1

    def test_missing_file_is_reported(self, tmp_path):
        result = CliRunner().invoke(app, ["validate", str(tmp_path / "no.yaml")])

        assert result.exit_code == 2
        assert "cannot be read" in result.output


def test_command_prints_the_schema():
    result = CliRunner().invoke(app, ["schema"])

    assert (result.exit_code, result.output) == (0, schema_text())


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("raydog_cli.main", {"yellowdog_local.hosts", "rich.table"}),
        ("yellowdog_ray.inventory.summaries", {"pydantic", "yaml"}),
        ("yellowdog_ray.inventory.why", {"yellowdog_ray.config.models", "yaml"}),
    ],
)
def test_commands_of_clusters_import_no_slow_module_that_they_do_not_need(module, unneeded):
    code = f"import sys, {module}; print(*sorted({unneeded} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ""
