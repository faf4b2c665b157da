"""The two wheels: what they contain, and what a user gets who installs them."""

import os
import re
import shutil
import socket
import subprocess
import sys
import sysconfig
import venv
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
DISTRIBUTIONS = {
    "yellowdog_ray": (REPOSITORY, {"yellowdog_ray"}),
    "yellowdog_local": (REPOSITORY / "packages/yellowdog-local", {"yellowdog_local", "raydog_cli"}),
}
"""Project and packages of each wheel."""

SEED = REPOSITORY / "examples/local/seed.json"
VERSION = "3.0.0"
INSTALLS = re.compile(r"""(?:pip|uv)\S* install[^\n]*?(?<![\w./=-])yellowdog-ray(?!\w|-|>=3)""")
PUBLISHED = 'readonly PUBLISHED="yellowdog-ray==2.0.0"'
CALLER = """\
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.testing import local_platform

with local_platform(clock=SteppedClock()) as local:
    reveal_type(local.url)  # line 5
    local.advance(2)
    local.advance("two seconds")  # line 7
    local.no_such_attribute  # line 8
local_platform(clok=SteppedClock())  # line 9
"""
NOT_CHECKED = """\
[mypy]
[mypy-pydantic.*,pydantic_core.*,starlette.*,uvicorn.*,yaml.*,yellowdog_client.*]
follow_imports = skip
"""
"""Packages of others, which take most of the time."""

USER_WITHOUT_RAY = """\
import sys

sys.modules["ray"] = sys.modules["yellowdog_ray"] = None  # an import of either fails
from pathlib import Path

from typer.testing import CliRunner
from yellowdog_client import PlatformClient
from yellowdog_client.model import ApiKey, ComputeRequirementTemplateSearch, ServicesSchema
from yellowdog_local.cli.main import app
from yellowdog_local.service.directory import PlatformDirectory

place = PlatformDirectory(Path("platform"))
port, seed = sys.argv[1:]
started = CliRunner().invoke(
    app, ["start", "--hosts", "simulated", "--dir", "platform", "--port", port, "--seed", seed]
)
print(started.exit_code)
key = place.api_key()
with PlatformClient.create(
    ServicesSchema(defaultUrl=f"http://127.0.0.1:{port}"), ApiKey(key.key_id, key.secret)
) as client:
    found = client.compute_client.get_compute_requirement_templates(ComputeRequirementTemplateSearch()).list_all()
    print(*sorted(f"{template.namespace}/{template.name}" for template in found))
print(CliRunner().invoke(app, ["stop", "--dir", "platform"]).exit_code)
"""
WITHOUT_RAY = "raise ImportError('this environment has no Ray')\n"

pytestmark = pytest.mark.timeout(300)  # mypy without a cache, on a busy machine


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The wheels, made from the source distributions, as `scripts/release` and `uv build` make them."""
    folder = tmp_path_factory.mktemp("wheels")
    for project, _packages in DISTRIBUTIONS.values():
        run(sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(folder), cwd=project)
    for archive in folder.glob("*.tar.gz"):
        shutil.unpack_archive(archive, folder)
        source = folder / archive.name.removesuffix(".tar.gz")
        run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder), cwd=source)
    return {wheel.name.split("-")[0]: wheel for wheel in folder.glob("*.whl")}


@pytest.fixture
def caller_python(wheels: dict[str, Path], tmp_path: Path) -> Path:
    """A Python that has the wheels, and this environment's other packages, but not the checkout."""
    venv.create(tmp_path / "venv", with_pip=False)
    site_packages = next(tmp_path.glob("venv/lib/python*/site-packages"))
    for wheel in wheels.values():
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(site_packages)
    # A .pth file of a directory that is itself added by one is not read: the editable checkout stays invisible.
    (site_packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return tmp_path / "venv/bin/python"


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_wheel_contains_its_own_typed_packages_only(wheels: dict[str, Path], name: str):
    contents = zipfile.ZipFile(wheels[name]).namelist()
    packages = {path.split("/")[0] for path in contents if path.endswith(".py")}

    assert packages == DISTRIBUTIONS[name][1]
    assert [package for package in packages if f"{package}/py.typed" not in contents] == []
    assert f"{name}-{VERSION}.dist-info/licenses/LICENSE" in contents


def test_both_projects_have_the_same_license():
    """A source distribution cannot contain a link to a file outside the project."""
    licenses = [(project / "LICENSE").read_bytes() for project, _packages in DISTRIBUTIONS.values()]

    assert licenses[0] == licenses[1]


def test_wheel_of_the_provider_contains_the_schema(wheels: dict[str, Path]):
    archive = zipfile.ZipFile(wheels["yellowdog_ray"])
    (name,) = [path for path in archive.namelist() if path.endswith("share/raydog/raydog-cluster.schema.json")]

    assert archive.read(name) == (REPOSITORY / "schemas/raydog-cluster.schema.json").read_bytes()


def test_published_package_is_installed_by_no_instruction_but_the_benchmark():
    """`yellowdog-ray` 2 on the index is another program: an instruction that installs it by name gets that one."""
    files = run("git", "ls-files", "*.md", "*.sh", "*.yaml", "*.yml", "scripts", "src", "examples", ".ci").split()
    lines = [
        (file, line)
        for file in files
        for line in (REPOSITORY / file).read_text().splitlines()
        if INSTALLS.search(line) and "would install another program" not in line
    ]

    assert lines == []
    assert PUBLISHED in (REPOSITORY / "scripts/lib/setup.sh").read_text()
    assert INSTALLS.search("RUN pip install --no-cache-dir 'ray[default]' yellowdog-ray")


def test_raydog_shows_both_versions(caller_python: Path, tmp_path: Path):
    shown = run(str(caller_python), "-m", "raydog_cli.main", "--version", cwd=tmp_path)

    assert shown == f"yellowdog-ray {VERSION}\nyellowdog-local {VERSION}\n"


def test_raydog_warns_of_another_package_that_python_imports(caller_python: Path, tmp_path: Path):
    (tmp_path / "yellowdog_ray").mkdir()
    (tmp_path / "yellowdog_ray/__init__.py").write_text('__version__ = "2.0.0"\n')

    shown = run(str(caller_python), "-m", "raydog_cli.main", "--version", cwd=tmp_path)

    folder = tmp_path / "yellowdog_ray"
    assert f"yellowdog-ray {VERSION}\n" in shown
    assert f"warning: Python imports yellowdog_ray 2.0.0 from {folder}, and `ray` runs that one: remove it" in shown


def test_local_platform_serves_the_sdk_without_ray(caller_python: Path, tmp_path: Path):
    """The wheel of the local platform alone, where Ray and the provider cannot be imported, in no process."""
    site_packages = next(tmp_path.glob("venv/lib/python*/site-packages"))
    shutil.rmtree(site_packages / "yellowdog_ray")
    for module in ("ray", "yellowdog_ray"):
        (site_packages / f"{module}.py").write_text(WITHOUT_RAY)
    (tmp_path / "user.py").write_text(USER_WITHOUT_RAY)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])

    shown = run(str(caller_python), "user.py", port, str(SEED), cwd=tmp_path)

    assert shown == "0\ndemo/local my-team/ray-worker\n0\n"


def test_caller_gets_types_and_errors_from_the_installed_package(caller_python: Path, tmp_path: Path):
    (tmp_path / "caller.py").write_text(CALLER)

    checked = run(sys.executable, "-m", "mypy", *mypy_options(caller_python), "caller.py", cwd=tmp_path, status=1)

    assert re.search(r'^caller\.py:5: note: Revealed type is "(builtins\.)?str"$', checked, re.MULTILINE), checked
    assert findings(checked) == [(7, "arg-type"), (8, "attr-defined"), (9, "call-arg")], checked


def mypy_options(python: Path) -> list[str]:
    config = python.parent / "mypy.ini"
    config.write_text(NOT_CHECKED)
    cache = python.parent / "cache"
    return ["--strict", f"--config-file={config}", f"--python-executable={python}", f"--cache-dir={cache}"]


def findings(output: str) -> list[tuple[int, str]]:
    found = re.findall(r"^caller\.py:(\d+): error: .*\[([\w-]+)\]", output, re.MULTILINE)
    return [(int(line), code) for line, code in found]


def run(*command: str, cwd: Path = REPOSITORY, status: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MYPYPATH"}}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout
