"""The recipes of images agree with the scripts, the versions and the dependencies of the repository."""

import os
import re
import shutil
import subprocess
import sys
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


def output_of(command: list, directory: Path, text: str = "") -> str:
    """Run a linter without its reports to the maker; output and errors."""
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(directory), "CHECKPOINT_DISABLE": "1"}
    run = subprocess.run(
        command, input=text, capture_output=True, text=True, timeout=60, check=False, cwd=directory, env=environment
    )
    return (run.stdout + run.stderr).strip()


def hadolint(dockerfile: str, directory: Path) -> str:
    program = Path(sys.executable).with_name("hadolint")
    if not program.exists():
        pytest.skip("needs hadolint: `scripts/lint` installs it")
    return output_of([program, "--no-color", "-"], directory, dockerfile)


class TestHadolint:
    def test_dockerfile_has_no_fault(self, tmp_path):
        assert hadolint(DOCKERFILE, tmp_path) == ""

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("${PYTHON_VERSION}-slim", "latest", "DL3007"),
            (":${PYTHON_VERSION}-slim", "", "DL3006"),
            (" --no-cache-dir", "", "DL3042"),
            (" --no-install-recommends", "", "DL3015"),
            ("install -y", "install", "DL3014"),
            ("&& rm -rf", "&& ls", "DL3009"),
            ("==${RAY_VERSION}", "", "DL3013"),
            ("ignore=DL3008", "", "DL3008"),
            ("RUN pip", "RUNN pip", "missing whitespace"),
            # hadolint runs ShellCheck on the commands.
            ("'redis>=5.0'", "'redis>=5.0", "SC1072"),
            ("/var/lib/apt/lists", "${HOME}/lists", "SC2086"),
        ],
    )
    def test_fault_of_the_dockerfile_is_found(self, old, new, message, tmp_path):
        assert old in DOCKERFILE
        assert message in hadolint(DOCKERFILE.replace(old, new), tmp_path)


def packer_validate(template: str, directory: Path) -> str:
    """The errors of a template, which finds its scripts beside it; Packer does not connect to AWS for that."""
    program = shutil.which("packer", path=f"/usr/bin{os.pathsep}{os.environ['PATH']}")
    # Later versions download the builder of AWS images.
    if program is None or not re.match(r"(?:Packer v)?1\.[6-9]\.", output_of([program, "--version"], directory)):
        pytest.skip("needs Packer 1.6 to 1.9: `apt-get install packer`, as `scripts/test` does")
    (directory / "images").mkdir()
    (directory / "examples").symlink_to(ROOT / "examples")
    (directory / "images/node.pkr.hcl").write_text(template)
    return output_of([program, "validate", "-var", "ssh_public_key=x", "images/node.pkr.hcl"], directory)


class TestPackerValidate:
    # The version of Debian 12 is 1.6, and `required_plugins` came with 1.7.
    TEMPLATE = re.sub(r"^packer \{\n.*?^\}\n", "", PACKER, flags=re.MULTILINE | re.DOTALL)

    def test_template_has_no_fault(self, tmp_path):
        assert packer_validate(self.TEMPLATE, tmp_path) == ""

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ("}", "", "Argument or block definition required"),
            ('"t3.medium"', '"t3.medium', "Invalid multi-line string"),
            ("variable ", "varible ", "Unsupported block type"),
            ("]", "}", "Missing item separator"),
            ("var.region", "var.regoin", "Unsupported attribute"),
            ("volume_size", "volum_size", "Unsupported argument"),
            ("throughput = 125", "throughput = 12", "Throughput must be between"),
            ("source.amazon-ebs.node", "source.amazon-ebs.nod", "Unknown source"),
            ('provisioner "shell"', 'provisioner "shel"', "Unknown provisioner type"),
            ("install-valkey.sh", "install-valky.sh", "Bad script"),
            ("{{timestamp}}", "{{timestmp}}", "invalid 'ami_name'"),
            ('ssh_username  = "admin"', "", "An ssh_username must be specified"),
            ('"PYTHON=', '"PYTHON', "Environment variable not in format"),
        ],
    )
    def test_fault_of_the_template_is_found(self, old, new, message, tmp_path):
        assert old in self.TEMPLATE
        assert message in packer_validate(self.TEMPLATE.replace(old, new, 1), tmp_path)
