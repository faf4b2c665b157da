"""What the head lacks of RayDog's dependencies, and how it gets them."""

import io
import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.test_distributions import REPOSITORY
from yellowdog_ray.commands import dependencies, versions
from yellowdog_ray.commands.dependencies import REQUIREMENTS, Missing, all_names, files_of, folder_of, supply
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.versions import OnHead, Versions
from yellowdog_ray.errors import HeadUnusable, SshError
from yellowdog_ray.node.package import CURRENT, DEPENDENCIES
from yellowdog_ray.remote.package import make_package, unpack_program
from yellowdog_ray.remote.ssh import SshTarget

HERE = {name: metadata.version(name) for name in all_names()}
PACKAGE = make_package("3.0.0", {"yellowdog_ray/__init__.py": b""})
TARGET = SshTarget("yd-agent", "10.0.0.1", "key", "head-1")


def missing(on_head: dict[str, str]) -> list[Missing]:
    return dependencies.missing(OnHead(Versions("3.12.1", "2.60.0"), None, distributions=on_head))


def names(found: list[Missing]) -> list[str]:
    return [each.name for each in found]


def test_requirements_are_those_of_the_project():
    text = (REPOSITORY / "pyproject.toml").read_text()
    listed = text.partition("\ndependencies = [")[2].partition("\n]\n")[0]  # `tomllib` is not in Python 3.10

    assert {line.strip(' ",') for line in listed.strip().splitlines()} == {*REQUIREMENTS, "ray[default]>=2.50"}


def test_nothing_is_missing_on_an_image_like_this_machine():
    assert missing(HERE) == []


def test_nothing_is_missing_where_nothing_could_be_read():
    """The head's Ray may be in a container."""
    assert dependencies.missing(None) == []


def test_all_is_missing_on_a_bare_python():
    assert {"yellowdog-sdk", "redis", "cattrs", "requests", "pydantic", "cffi"} <= set(names(missing({})))


def test_requirements_of_a_missing_distribution_are_missing_too():
    lacking = {"yellowdog-sdk", "isodate", "cattrs"}

    assert set(names(missing({name: version for name, version in HERE.items() if name not in lacking}))) == lacking


def test_older_distribution_than_required_counts_as_missing():
    (found,) = missing({**HERE, "yellowdog-sdk": "13.0"})

    assert str(found) == f"yellowdog-sdk {HERE['yellowdog-sdk']} (the image has 13.0)"


def test_requirements_of_a_fitting_distribution_are_the_images_business():
    assert missing({**HERE, "pydantic": "2.8", "pydantic-core": "2.20"}) == []


def test_version_that_cannot_be_parsed_counts_as_fitting():
    assert missing({**HERE, "redis": "of-the-company"}) == []


@pytest.mark.parametrize("name", ["cryptography", "pydantic-core", "no-such-distribution"])
def test_distribution_that_cannot_be_copied_has_no_files(name):
    assert files_of(name) == {}


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A head's home with RayDog's package, whose index cannot be reached."""
    python = tmp_path / "venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@" >>"$HOME/pip"\necho "no route to the index" >&2\nexit 1\n')
    python.chmod(0o755)

    def run(_: SshTarget, command: str, stdin: bytes = b"", timeout: float = 60.0) -> str:
        env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        done = subprocess.run(
            ["sh", "-c", command], input=stdin, env=env, capture_output=True, timeout=timeout, check=False
        )
        if done.returncode != 0:
            raise SshError(done.stderr.decode())
        return done.stdout.decode()

    run(TARGET, "sh -s", f"set -e\n{unpack_program(PACKAGE)}".encode())
    monkeypatch.setattr(SshTarget, "run", run)
    return tmp_path


def test_pure_distributions_are_copied_and_importable(head):
    out = io.StringIO()
    lacking = missing({name: version for name, version in HERE.items() if name not in {"yellowdog-sdk", "isodate"}})

    supply(TARGET, PACKAGE, lacking, Progress(out))

    folder = head / CURRENT / DEPENDENCIES
    program = "import isodate, importlib.metadata as m; print(isodate.__file__, m.version('yellowdog-sdk'))"
    env = {"PYTHONPATH": str(folder), "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [f"{folder}/isodate/__init__.py", HERE["yellowdog-sdk"]]
    assert f"the head's image lacks isodate {HERE['isodate']}, yellowdog-sdk {HERE['yellowdog-sdk']}" in out.getvalue()
    assert not (head / "pip").exists()


def test_copied_distributions_are_not_missing_at_the_next_ray_up(head):
    (head / "venv/bin/python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    copied = head / folder_of(PACKAGE) / "redis-99.0.dist-info"
    copied.mkdir(parents=True)
    (copied / "METADATA").write_text("Metadata-Version: 2.1\nName: redis\nVersion: 99.0\n")

    with_copies, image = versions.on(TARGET, ["redis"], folder_of(PACKAGE)), versions.on(TARGET, ["redis"])

    assert with_copies is not None
    assert with_copies.distributions == {"redis": "99.0"}
    assert image is not None
    assert image.distributions == {"redis": HERE["redis"]}


def test_metadata_are_the_last_files_of_a_distribution():
    """Otherwise an interrupted copy would count as complete."""
    files = list(files_of("redis"))
    first = next(index for index, name in enumerate(files) if ".dist-info/" in name)

    assert all(".dist-info/" in name for name in files[first:])
    assert first > 10


def test_nothing_is_sent_to_a_head_that_lacks_nothing(monkeypatch):
    monkeypatch.delattr(SshTarget, "run")

    supply(TARGET, PACKAGE, [], Progress(io.StringIO()))


def test_unreachable_index_ends_with_what_is_missing_and_the_remedy(head):
    lacking = missing({name: version for name, version in HERE.items() if name != "cryptography"})

    with pytest.raises(HeadUnusable, match=r"lacks cryptography .*let the image contain it.*no route to the index"):
        supply(TARGET, PACKAGE, lacking, Progress(io.StringIO()))

    command = (head / "pip").read_text()
    assert f"--target {head}/.raydog/package/{PACKAGE.name}/{DEPENDENCIES} cryptography==" in command
