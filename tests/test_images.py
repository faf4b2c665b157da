"""The recipes of images agree with the scripts, the versions and the dependencies of the repository."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKER = (ROOT / "images/node.pkr.hcl").read_text()
DOCKERFILE = (ROOT / "images/Dockerfile").read_text()
SETUP = (ROOT / "examples/autoscaler/scripts/node-setup.sh").read_text()


def dependencies() -> set[str]:
    section = (ROOT / "pyproject.toml").read_text().split("\ndependencies = [")[1].split("]\n\n")[0]
    return set(re.findall(r'^  "([^"]+)",$', section, re.MULTILINE))


class TestPackerTemplate:
    def test_template_runs_existing_scripts(self):
        scripts = re.findall(r'"\$\{path\.root\}/(\S+)"', PACKER)

        assert len(scripts) == 2
        assert [script for script in scripts if not (ROOT / "images" / script).is_file()] == []

    def test_template_sets_settings_of_the_scripts(self):
        stated = re.findall(r'^ +"([A-Z_]+)=\$\{var\.(\w+)\}"', PACKER, re.MULTILINE)

        assert [name for name, _ in stated if f'{name}="${{{name}:-' not in SETUP] == []
        assert [variable for _, variable in stated if f'variable "{variable}"' not in PACKER] == []
        assert len(stated) == 3

    def test_every_variable_is_declared_and_described(self):
        declared = dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', PACKER, re.MULTILINE | re.DOTALL))

        assert set(re.findall(r"\bvar\.(\w+)", PACKER)) == set(declared)
        assert [name for name, body in declared.items() if "description =" not in body] == []


@pytest.mark.parametrize(
    ("place", "text"), [("default     = ", PACKER), ("ARG RAY_VERSION=", DOCKERFILE)], ids=["Packer", "Dockerfile"]
)
def test_default_version_of_ray_is_that_of_the_setup_script(place, text):
    version = re.search(r'^RAY_VERSION="\$\{RAY_VERSION:-([\d.]+)\}"', SETUP, re.MULTILINE)[1]

    assert f'{place}"{version}"' in text or f"{place}{version}\n" in text


def test_dockerfile_installs_every_dependency_of_the_provider():
    installed = set(re.findall(r"'([^' ]+>=[^' ]+)'", DOCKERFILE))

    assert installed == {dependency for dependency in dependencies() if not dependency.startswith("ray[")}
