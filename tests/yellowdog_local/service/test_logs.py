"""Logs: the files of a host or task, headings, and following."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from yellowdog_local.service import logs
from yellowdog_local.service.directory import LocalPlatformError, PlatformDirectory

TASK = "ydid:task:0:a-b:1:1"


@pytest.fixture
def place(tmp_path: Path) -> PlatformDirectory:
    tasks = tmp_path / "hosts" / "i-1" / "tasks"
    tasks.mkdir(parents=True)
    (tmp_path / "hosts" / "i-1" / "agent.log").write_text("agent\n")
    (tmp_path / "hosts" / "i-1" / "init.log").write_text("init\n")
    for age, name in enumerate(["ydid_task_0_a-b_1_1", "ydid_task_0_a-b_1_1-attempt-1", "ydid_task_0_a-b_1_11"]):
        (tasks / f"{name}.txt").write_text(f"{name}\n")
        os.utime(tasks / f"{name}.txt", (age, age))
    return PlatformDirectory(tmp_path)


def names(files: list[Path]) -> list[str]:
    return [path.name for path in files]


def test_host_logs_are_in_boot_order(place: PlatformDirectory) -> None:
    assert names(logs.host_files(place, "i-1"))[:3] == ["init.log", "agent.log", "ydid_task_0_a-b_1_1.txt"]


def test_task_output_includes_all_attempts_and_no_other_task(place: PlatformDirectory) -> None:
    assert names(logs.task_files(place, TASK)) == [
        "ydid_task_0_a-b_1_1.txt",
        "ydid_task_0_a-b_1_1-attempt-1.txt",
    ]


@pytest.mark.parametrize("name", ["i-2", "", "..", "../i-1"])
def test_unknown_host_fails_with_the_known_ones(place: PlatformDirectory, name: str) -> None:
    with pytest.raises(LocalPlatformError, match="there are logs of: i-1"):
        logs.host_files(place, name)


def test_unknown_task_fails(place: PlatformDirectory) -> None:
    with pytest.raises(LocalPlatformError, match="no task with the id 'ydid:x'"):
        logs.task_files(place, "ydid:x")


def test_directory_without_a_platform_has_no_log(tmp_path: Path) -> None:
    with pytest.raises(LocalPlatformError, match="there is no log in"):
        logs.platform_files(PlatformDirectory(tmp_path / "none"))


def test_several_files_have_headings_and_one_file_has_none(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("1\n2\n3\n")
    two.write_text("4\n")

    assert "".join(logs.Reader(lambda: [one]).past()) == "1\n2\n3\n"
    assert "".join(logs.Reader(lambda: [one, two]).past()) == f"==> {one} <==\n1\n2\n3\n==> {two} <==\n4\n"


@pytest.mark.parametrize(("last", "shown"), [(None, "1\n2\n3\n"), (2, "2\n3\n"), (9, "1\n2\n3\n"), (0, "")])
def test_past_is_limited_to_the_last_lines(tmp_path: Path, last: int | None, shown: str) -> None:
    file = tmp_path / "log"
    file.write_text("1\n2\n3\n")

    assert "".join(logs.Reader(lambda: [file], last).past()) == shown


def test_growth_includes_new_files_and_restarted_ones(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("long past\n")
    reader = logs.Reader(lambda: sorted(tmp_path.iterdir()))

    assert list(reader.past()) == ["long past\n"]
    assert list(reader.growth()) == []
    with one.open("a") as file:
        file.write("more\n")
    two.write_text("new\n")
    assert list(reader.growth()) == ["more\n", f"==> {two} <==\n", "new\n"]
    one.write_text("anew\n")
    assert list(reader.growth()) == [f"==> {one} <==\n", "anew\n"]


@pytest.mark.parametrize("growing", [False, True], ids=["at once", "while following"])
def test_log_is_refused_when_a_task_has_replaced_it_by_a_link(place: PlatformDirectory, growing: bool) -> None:
    (secret := place.path / "secret").write_text("secret")
    output = logs.task_files(place, TASK)[0]
    reader = logs.Reader(lambda: [output])
    if growing:
        list(reader.past())
    output.unlink()
    output.symlink_to(secret)
    with pytest.raises(LocalPlatformError, match="cannot be read: it is a link"):
        list(reader.growth() if growing else reader.past())
