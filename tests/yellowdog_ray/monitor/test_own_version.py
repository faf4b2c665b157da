"""RayDog's version in the autoscaler's log, and in the file that the next `ray up` reads."""

import logging
from pathlib import Path

import pytest

import yellowdog_ray
from yellowdog_ray.monitor.own_version import report_own_version
from yellowdog_ray.node.package import CURRENT, PACKAGES, RUNNING


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("RAY_CLOUD_INSTANCE_ID", "head-1")
    return tmp_path


def send(home: Path, name: str) -> Path:
    folder = home / PACKAGES / name
    folder.mkdir(parents=True)
    (home / CURRENT).unlink(missing_ok=True)
    (home / CURRENT).symlink_to(name)
    return folder


def report(caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.INFO, "yellowdog_ray"):
        report_own_version.__wrapped__()
    return [record.getMessage() for record in caplog.records]


def test_sent_package_is_reported(home, monkeypatch, caplog):
    folder = send(home, "3.0.0-abc")
    monkeypatch.setattr(yellowdog_ray, "__path__", [str(folder / "yellowdog_ray")])

    assert report(caplog) == [f"RayDog 3.0.0 (abc), from {folder}"]
    assert (home / RUNNING).read_text() == "head-1 3.0.0 (abc)\n"


def test_package_of_the_image_gives_a_warning_when_another_was_sent(home, caplog):
    send(home, "3.1.0-def")

    _, warning = report(caplog)

    assert f"RayDog {yellowdog_ray.__version__} (not sent by `ray up`)" in warning
    assert "and not 3.1.0 (def), which `ray up` has sent" in warning
    assert "replace PYTHONPATH" in warning


def test_head_without_a_sent_package_logs_its_version_only(home, caplog):
    (line,) = report(caplog)

    assert line.startswith(f"RayDog {yellowdog_ray.__version__} (not sent by `ray up`), from /")
    assert list(home.iterdir()) == []


def test_report_does_not_fail_when_the_file_cannot_be_written(home, monkeypatch, caplog):
    folder = send(home, "3.0.0-abc")
    monkeypatch.setattr(yellowdog_ray, "__path__", [str(folder / "yellowdog_ray")])
    (home / RUNNING).with_suffix(".new").mkdir()

    assert "cannot be written" in report(caplog)[-1]
