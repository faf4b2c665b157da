"""The recipes of images agree with the scripts, the versions and the dependencies of the repository."""

import re
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


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their texts."""
    lines = "\n".join(line for line in dockerfile.splitlines() if not line.startswith("#")).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in lines.splitlines() if line.strip()]


def faults_of_dockerfile(dockerfile: str) -> list[str]:
    """What the linter `hadolint` would report of these instructions, as far as these images need it."""
    found, declared, has_base = [], set(), False
    for name, text in instructions(dockerfile):
        if name not in ("FROM", "ARG", "RUN"):
            found.append(f"{name}: no instruction of these images")
        if name != "ARG" and (unknown := set(re.findall(r"\$\{(\w+)\}", text)) - declared):
            found.append(f"{name}: {unknown} has no ARG")
        if name == "FROM":
            has_base, declared = True, set()
            found += (
                [] if re.search(r":[^:/]+$", text) and not text.endswith(":latest") else [f"FROM {text}: no version"]
            )
        elif name == "ARG":
            declared.add(text.partition("=")[0])
        elif name == "RUN":
            found += [] if has_base else ["RUN before FROM"]
            found += [] if "pip install" not in text or "--no-cache-dir" in text else ["pip without --no-cache-dir"]
            clean = ("--no-install-recommends", "rm -rf /var/lib/apt/lists")
            found += [word for word in clean if "apt-get install" in text and word not in text]
    return found


class TestDockerfile:
    def test_dockerfile_has_no_fault(self):
        assert faults_of_dockerfile(DOCKERFILE) == []

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("-slim", ":latest"),
            ("ARG RAY_VERSION", "ARG RAY"),
            (" --no-cache-dir", ""),
            (" --no-install-recommends", ""),
            ("&& rm -rf", "&& ls"),
            ("RUN pip", "RUNN pip"),
        ],
    )
    def test_fault_is_found(self, old, new):
        assert old in DOCKERFILE
        assert faults_of_dockerfile(DOCKERFILE.replace(old, new)) != []

    def test_commands_pass_shellcheck(self):
        script = "".join(f"{text}\n" for name, text in instructions(DOCKERFILE) if name == "RUN")

        assert shellcheck(f"RAY_VERSION=1\n{script}") == ""
        assert "SC1073" in shellcheck(f"if {script}")


def shellcheck(script: str) -> str:
    program = Path(sys.executable).with_name("shellcheck")
    if not program.exists():
        pytest.skip("needs shellcheck: `scripts/lint` installs it")
    command = [program, "--shell=sh", "-"]
    return subprocess.run(command, input=script, capture_output=True, text=True, timeout=60, check=False).stdout


def faults_of_packer(template: str) -> list[str]:
    """Brackets and quotes that do not match, and blocks that Packer does not have at the top level."""
    code = re.sub(r'"(?:[^"\\\n]|\\.)*"', '""', re.sub(r"(?m)#.*$", "", template))
    opened, found = [], []
    for number, line in enumerate(code.splitlines(), 1):
        if line.count('"') % 2:
            found.append(f"{number}: a quote without its end")
        if not opened and line.strip() and not re.match(r'(?:packer|build|(?:variable|source)(?: "")+) \{', line):
            found.append(f"{number}: no block of Packer")
        for letter in line:
            if letter in "{[(":
                opened.append(letter)
            elif letter in "}])" and (not opened or opened.pop() + letter not in ("{}", "[]", "()")):
                found.append(f"{number}: {letter} without its beginning")
    return found + [f"{letter} without its end" for letter in opened]


def test_packer_template_has_no_fault():
    assert faults_of_packer(PACKER) == []


@pytest.mark.parametrize(
    ("old", "new"), [("}", ""), ('"t3.medium"', '"t3.medium'), ("variable ", "varible "), ("]", "}")]
)
def test_fault_of_the_packer_template_is_found(old, new):
    assert faults_of_packer(PACKER.replace(old, new, 1)) != []
