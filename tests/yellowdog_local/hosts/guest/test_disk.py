from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest

from yellowdog_local.hosts.guest import disk
from yellowdog_local.hosts.guest.disk import Disk


@pytest.fixture
def mounts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The mounts that the kernel is requested to make; none is made."""
    made: list[tuple[Any, ...]] = []
    monkeypatch.setattr(disk, "mount", lambda *request: made.append(request))
    monkeypatch.setattr(disk.os, "chown", lambda *_owner: None)
    return made


def test_image_fills_the_layer_of_the_longest_matching_path(tmp_path: Path, mounts: list[tuple[Any, ...]]) -> None:
    machine, own = tmp_path / "machine", tmp_path / "disk"
    (machine / "sub" / "inner").mkdir(parents=True, mode=0o711)
    made = Disk(str(own), ["/", str(machine / "sub")])
    made.assemble(
        [
            {"path": str(machine / "sub" / "inner" / "file"), "text": "hello", "mode": 0o640},
            {"path": str(machine / "link"), "link": "/elsewhere"},
            {"path": str(machine / "new"), "mode": 0o700},
        ]
    )
    inner = own / "layer1" / "upper" / "inner"
    root = own / "layer0" / "upper" / machine.relative_to("/")
    assert ((inner / "file").read_text(), (inner / "file").stat().st_mode & 0o777) == ("hello", 0o640)
    assert inner.stat().st_mode & 0o777 == 0o711
    assert (root / "link").readlink() == Path("/elsewhere")
    assert (root / "new").stat().st_mode & 0o777 == 0o700
    assert [(kind, target) for _, target, kind, *_ in mounts] == [
        ("overlay", made.root),
        ("overlay", f"{made.root}{machine / 'sub'}"),
    ]


def test_disk_is_in_memory_without_support_for_overlays(
    tmp_path: Path, mounts: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Disk(str(tmp_path / "disk"), ["/"])

    def refuse(_source: str, target: str, kind: str, _flags: int = 0, _data: str = "") -> None:
        mounts.append((kind, target))
        if kind == "overlay" and (("tmpfs", str(tmp_path / "disk")) not in mounts):
            raise OSError(errno.EINVAL, "no overlay here")
        if kind == "tmpfs":
            (tmp_path / "disk").rename(tmp_path / "covered")

    monkeypatch.setattr(disk, "mount", refuse)
    made.assemble([])
    assert [kind for kind, _ in mounts] == ["overlay", "overlay", "tmpfs", "overlay"]


def test_paths_are_escaped_for_mount_options() -> None:
    assert disk._escaped("/a:b,c\\d") == "/a\\:b\\,c\\\\d"


def test_refused_mount_names_its_source() -> None:
    with pytest.raises(OSError, match=r"mount of source \(none\) failed"):
        disk.mount("source", "/nonexistent", "none")


def test_only_an_opaque_directory_hides_that_of_the_machine(
    tmp_path: Path, mounts: list[tuple[Any, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    marked: list[str] = []
    monkeypatch.setattr(disk.os, "setxattr", lambda path, _name, _value: marked.append(Path(path).name))
    image = [{"path": str(tmp_path / "a"), "mode": 0o755}, {"path": str(tmp_path / "b"), "mode": 0o755, "opaque": True}]
    Disk(str(tmp_path / "disk"), ["/"]).assemble(image)
    assert (marked, len(mounts)) == (["b"], 1)
