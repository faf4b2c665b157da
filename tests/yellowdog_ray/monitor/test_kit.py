"""The kit of this head's own files."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import timedelta
from pathlib import Path

import pytest

from yellowdog_ray.monitor.jobs_document import JobsPendingError
from yellowdog_ray.monitor.kit import KitMaker, PackedKit, room_for_jobs
from yellowdog_ray.node import kit
from yellowdog_ray.node.kit import Manifest, read_manifest

MANIFEST = Manifest("demo", "work", "task", "yd-agent", timedelta(minutes=10))
FILES = {
    ".raydog/credentials": "YD_API_KEY_ID=id",
    ".ray/auth_token": "token",
    "ray_bootstrap_config.yaml": "{}",
    "ray_bootstrap_key.pem": "key",
    ".raydog/package/3-abc/yellowdog_ray/__init__.py": "",
    ".raydog/package/3-abc/yellowdog_ray/__pycache__/x.pyc": "",
    ".raydog/package/3-abc/.dependencies/redis/__init__.py": "",
}
TEXT_BYTES = sum(len(text) for text in FILES.values())


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a head."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, text in FILES.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    (tmp_path / ".raydog/package/current").symlink_to("3-abc")
    return tmp_path


def maker(jobs: bytes | None = None) -> KitMaker:
    return KitMaker(lambda: MANIFEST, lambda: 0.0, lambda: jobs)


def unpacked(packed: PackedKit | None) -> dict[str, bytes]:
    assert packed is not None
    with tarfile.open(fileobj=io.BytesIO(packed.archive)) as archive:
        assert {entry.mode for entry in archive} == {0o600}
        members = [(entry.name, archive.extractfile(entry)) for entry in archive]
        return {name: file.read() for name, file in members if file is not None}


def test_kit_has_the_heads_files_and_its_package():
    files = unpacked(maker(b'["job"]').current())

    assert files.keys() == {
        *(kit.CREDENTIALS, kit.TOKEN, kit.CONFIG, kit.KEY, kit.MANIFEST, kit.JOBS),
        "package/yellowdog_ray/__init__.py",
        "package/.dependencies/redis/__init__.py",
    }
    assert files[kit.CREDENTIALS] == b"YD_API_KEY_ID=id"
    assert files[kit.JOBS] == b'["job"]'
    assert read_manifest(files[kit.MANIFEST]) == MANIFEST


def test_no_kit_is_made_before_the_jobs_have_been_read(caplog):
    def pending() -> bytes | None:
        raise JobsPendingError

    with pytest.raises(JobsPendingError):
        KitMaker(lambda: MANIFEST, lambda: 0.0, pending).current()
    assert caplog.text == ""


def test_kit_has_no_jobs_where_there_are_none():
    assert kit.JOBS not in unpacked(maker().current())


def test_kit_is_packed_again_only_after_a_change(home):
    made = maker()
    first = made.current()
    assert made.current() is first

    (home / kit.CONFIG).write_text("{changed: 1}")
    changed = made.current()

    assert unpacked(changed)[kit.CONFIG] == b"{changed: 1}"
    assert changed.digest != first.digest


def test_no_kit_is_made_while_the_cluster_is_unknown():
    assert KitMaker(lambda: None, lambda: 0.0).current() is None


@pytest.mark.parametrize("name", [".raydog/credentials", ".raydog/package/current"])
def test_no_kit_is_made_without_a_file_and_the_log_names_it(home, name, caplog):
    (home / name).unlink()

    assert maker().current() is None
    assert "no worker can replace this head" in caplog.text


def test_no_kit_is_made_that_is_too_large(home, monkeypatch, caplog):
    monkeypatch.setattr(kit, "MAX_BYTES", 10)

    assert maker().current() is None
    assert "MiB" in caplog.text


def test_kit_is_made_without_jobs_that_make_it_too_large(monkeypatch):
    monkeypatch.setattr(kit, "MAX_BYTES", 100)

    assert kit.JOBS in unpacked(maker(bytes(100 - TEXT_BYTES)).current())
    assert kit.JOBS not in unpacked(maker(bytes(101 - TEXT_BYTES)).current())


def test_room_for_jobs_is_what_the_other_files_leave(home, monkeypatch):
    assert room_for_jobs() == kit.MAX_JOBS_BYTES

    monkeypatch.setattr(kit, "MAX_BYTES", 100)
    assert room_for_jobs() == 100 - TEXT_BYTES

    (home / kit.CONFIG).write_text("x" * 100)
    assert room_for_jobs() == 0


@pytest.mark.parametrize("text", [b"{}", b"[]", b"no json", json.dumps({"namespace": "a"}).encode()])
def test_damaged_manifest_is_refused(text):
    with pytest.raises(ValueError):
        read_manifest(text)
