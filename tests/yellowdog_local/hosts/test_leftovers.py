from __future__ import annotations

from pathlib import Path

import pytest

from yellowdog_local.hosts import leftovers


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hosts' temporary directory, on a machine without bridges."""
    made = tmp_path / "temporary"
    monkeypatch.setattr(leftovers, "temporary_root", lambda _directory: made)
    monkeypatch.setattr(leftovers, "bridges_of", lambda _owner: [])
    return made


def test_disks_and_temporary_directory_are_found_and_removed(tmp_path: Path, temporary: Path) -> None:
    data = tmp_path / "data"
    disk = data / leftovers.DISKS / "i-1"
    for made in (disk, temporary, data / leftovers.LOGS):
        made.mkdir(parents=True)
    assert leftovers.find(data) == [f"directory {disk}", f"directory {temporary}"]
    leftovers.clean(data)
    assert leftovers.find(data) == []
    assert [path.name for path in data.iterdir()] == [leftovers.LOGS]


def test_bridges_are_removed(tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    links, owners = ["yd-1"], []
    monkeypatch.setattr(leftovers, "bridges_of", lambda owner: owners.append(owner) or links)
    monkeypatch.setattr(leftovers, "remove_link", lambda name: links.remove(name))
    assert leftovers.find(tmp_path) == ["bridge yd-1"]
    leftovers.clean(tmp_path)
    assert (links, set(owners), temporary.exists()) == ([], {str(tmp_path)}, False)


def test_only_the_logs_of_the_run_before_are_kept(tmp_path: Path) -> None:
    leftovers.rotate_logs(tmp_path)
    assert list(tmp_path.iterdir()) == []
    for run in ("first", "second"):
        (tmp_path / "hosts").mkdir()
        (tmp_path / "hosts" / run).touch()
        leftovers.rotate_logs(tmp_path)
    assert [str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")] == ["hosts.1", "hosts.1/second"]
