"""The built wheel gives its types to a caller: `mypy --strict` checks code that uses `yellowdog_local.testing`."""

import os
import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

PACKAGES = ("raydog_cli", "yellowdog_local", "yellowdog_ray")
REPOSITORY = Path(__file__).parents[1]
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

pytestmark = pytest.mark.timeout(300)  # mypy without a cache, on a busy machine


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    return next(folder.glob("*.whl"))


@pytest.fixture
def caller_python(wheel: Path, tmp_path: Path) -> Path:
    """A Python that has the wheel, and this environment's other packages, but not the checkout."""
    venv.create(tmp_path / "venv", with_pip=False)
    site_packages = next(tmp_path.glob("venv/lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site_packages)
    # A .pth file of a directory that is itself added by one is not read: the editable checkout stays invisible.
    (site_packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return tmp_path / "venv/bin/python"


def test_wheel_contains_the_marker_of_typed_packages(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()

    assert [package for package in PACKAGES if f"{package}/py.typed" not in names] == []


def test_caller_gets_types_and_errors_from_the_installed_package(caller_python: Path, tmp_path: Path):
    (tmp_path / "caller.py").write_text(CALLER)

    checked = run(sys.executable, "-m", "mypy", *mypy_options(caller_python), "caller.py", cwd=tmp_path, status=1)

    assert re.search(r'^caller\.py:5: note: Revealed type is "(builtins\.)?str"$', checked, re.MULTILINE), checked
    assert findings(checked) == [(7, "arg-type"), (8, "attr-defined"), (9, "call-arg")], checked


def mypy_options(python: Path) -> list[str]:
    cache = python.parent / "cache"
    return ["--strict", "--config-file=", f"--python-executable={python}", f"--cache-dir={cache}"]


def findings(output: str) -> list[tuple[int, str]]:
    found = re.findall(r"^caller\.py:(\d+): error: .*\[([\w-]+)\]", output, re.MULTILINE)
    return [(int(line), code) for line, code in found]


def run(*command: str, cwd: Path = REPOSITORY, status: int = 0) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "MYPYPATH"}}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout
