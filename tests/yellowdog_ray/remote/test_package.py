"""The package that `ray up` sends to the head, unpacked by real shells."""

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

import pytest

import yellowdog_ray
from yellowdog_ray.node.package import CURRENT, DEPENDENCIES, PACKAGES, RUNNING
from yellowdog_ray.remote import package as package_module
from yellowdog_ray.remote.package import (
    REFUSAL,
    Package,
    make_package,
    other_installations,
    own_package,
    running_version,
    unpack_program,
    upgrade_report,
)

FILES = {"yellowdog_ray/__init__.py": b"VALUE = 1\n", "yellowdog_ray/data/x.json": b"{}"}
SMALL = make_package("3.0.0", FILES)
SHELLS = [shell for shell in ("dash", "bash") if shutil.which(shell)]


def unpack(home: Path, package: Package, shell: str = "bash", path: str = os.environ["PATH"]) -> str:
    done = subprocess.run(
        [shutil.which(shell) or shell, "-s"],
        input=f"set -e\numask 077\n{unpack_program(package)}",
        env={"HOME": str(home), "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    return done.stdout


class TestArchive:
    def test_own_package_runs_from_its_unpacked_files(self, tmp_path):
        """It is complete, and needs nothing of the checkout."""
        unpack(tmp_path, own_package())

        program = (
            "import yellowdog_ray, yellowdog_ray.monitor.early_ends as module, yellowdog_ray.provider;"
            "print(yellowdog_ray.__version__, module.__file__)"
        )
        env = {"PYTHONPATH": str(tmp_path / CURRENT), "HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)

        folder = tmp_path / PACKAGES / own_package().name
        assert done.stdout.split() == [yellowdog_ray.__version__, f"{folder}/yellowdog_ray/monitor/early_ends.py"]

    def test_own_package_has_no_compiled_files_and_is_small(self):
        assert len(own_package().archive) < 400_000
        assert own_package().name == f"{yellowdog_ray.__version__}-{own_package().digest}"

    def test_equal_files_make_equal_archives(self):
        assert make_package("3.0.0", FILES) == SMALL
        assert make_package("3.0.0", {**FILES, "yellowdog_ray/data/x.json": b"[]"}).digest != SMALL.digest


class TestUnpacking:
    @pytest.mark.parametrize("shell", SHELLS)
    def test_package_is_unpacked_and_current(self, tmp_path, shell):
        unpack(tmp_path, SMALL, shell)

        for name, content in FILES.items():
            assert (tmp_path / CURRENT / name).read_bytes() == content
        assert sorted(each.name for each in (tmp_path / PACKAGES).iterdir()) == [SMALL.name, "current"]

    def test_package_that_is_there_stays_as_it_is(self, tmp_path):
        """An autoscaler may run from it, and use what lies beside it."""
        unpack(tmp_path, SMALL)
        (tmp_path / CURRENT / DEPENDENCIES).mkdir()
        before = (tmp_path / CURRENT).resolve().stat().st_ino

        unpack(tmp_path, SMALL)

        assert (tmp_path / CURRENT).resolve().stat().st_ino == before
        assert (tmp_path / CURRENT / DEPENDENCIES).is_dir()

    def test_other_package_becomes_current_and_leaves_the_first_alone(self, tmp_path):
        other = make_package("3.1.0", {"yellowdog_ray/__init__.py": b"VALUE = 2\n"})
        unpack(tmp_path, SMALL)

        unpack(tmp_path, other)

        assert (tmp_path / CURRENT).resolve().name == other.name
        assert (tmp_path / PACKAGES / SMALL.name / "yellowdog_ray/__init__.py").read_bytes() == b"VALUE = 1\n"

    @pytest.mark.parametrize("damage", [b"", b"VALUE = 3\n"])
    def test_damaged_package_on_the_head_is_replaced(self, tmp_path, damage):
        unpack(tmp_path, SMALL)
        (tmp_path / CURRENT / "yellowdog_ray/__init__.py").write_bytes(damage)

        unpack(tmp_path, SMALL)

        assert (tmp_path / CURRENT / "yellowdog_ray/__init__.py").read_bytes() == b"VALUE = 1\n"

    @pytest.mark.parametrize(
        "archive", [SMALL.archive[:-30], b"no archive", make_package("3.0.0", {"x": b""}).archive], ids=len
    )
    def test_damaged_archive_is_refused_and_does_not_become_current(self, tmp_path, archive):
        with pytest.raises(RuntimeError, match=f"{REFUSAL}: its archive"):
            unpack(tmp_path, Package(SMALL.version, SMALL.digest, archive))

        assert not (tmp_path / CURRENT).exists()

    @pytest.mark.parametrize("lacking", ["tar", "base64", "gzip", "sha256sum"])
    def test_image_without_a_tool_is_refused_with_its_name(self, tmp_path, lacking):
        programs = tmp_path / "bin"
        programs.mkdir()
        for tool in {"tar", "base64", "gzip", "sha256sum", "mkdir", "mktemp"} - {lacking}:
            (programs / tool).symlink_to(str(shutil.which(tool)))

        with pytest.raises(RuntimeError, match=f"{REFUSAL}: its image lacks {lacking}"):
            unpack(tmp_path, SMALL, path=str(programs))


class TestRunningVersion:
    def test_version_of_this_heads_autoscaler_is_reported(self, tmp_path):
        (tmp_path / ".raydog").mkdir()
        (tmp_path / RUNNING).write_text("head-1 3.0.0 (abc)\n")
        output = f"Welcome\n{unpack(tmp_path, SMALL)}"

        assert running_version(output, "head-1") == "3.0.0 (abc)"
        assert running_version(output, "head-2") is None

    def test_version_is_unknown_before_the_autoscaler_starts(self, tmp_path):
        assert running_version(unpack(tmp_path, SMALL), "head-1") is None
        assert running_version("", "head-1") is None

    @pytest.mark.parametrize("running", [None, SMALL.label])
    def test_upgrade_is_not_reported_for_the_same_version(self, running):
        assert upgrade_report(SMALL, running, restarts=False) is None

    @pytest.mark.parametrize(
        ("restarts", "when"), [(False, "when Ray starts again on the head, after `ray down`"), (True, "on the head")]
    )
    def test_upgrade_names_both_versions_and_the_time(self, restarts, when):
        report = upgrade_report(SMALL, "2.9 (abc)", restarts=restarts)

        assert report is not None
        assert f"runs RayDog 2.9 (abc); it will run RayDog {SMALL.label}" in report
        assert when in report
        assert ("ray down" in report) != restarts

    def test_cluster_of_an_earlier_raydog_is_reported(self):
        report = upgrade_report(SMALL, None, restarts=False, takes_package=False)

        assert report == (
            "an earlier RayDog created this cluster: its autoscaler runs the RayDog of the image until `ray down`"
        )


def test_other_installed_version_gives_one_warning(monkeypatch):
    versions = ["2.0.0", yellowdog_ray.__version__, "2.0.0"]
    found = [SimpleNamespace(version=version) for version in versions]
    monkeypatch.setattr(metadata, "distributions", lambda name: found if name == "yellowdog-ray" else [])

    (warning,) = other_installations()

    assert f"yellowdog-ray 2.0.0 installed, and {yellowdog_ray.__version__} runs" in warning


def test_no_other_version_gives_no_warning(monkeypatch):
    monkeypatch.setattr(package_module.metadata, "distributions", lambda name: [])

    assert other_installations() == []
