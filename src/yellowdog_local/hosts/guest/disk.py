"""The disk of a namespace host: overlays over the machine's file systems, and /proc, /sys, /dev. Standard library only.

Runs in a mount namespace of the host's own: its mounts end with the host.
"""

from __future__ import annotations

import ctypes
import os
import stat
from pathlib import Path
from typing import Any

from yellowdog_local.hosts.guest.log import log

LOGS = "/var/log/raydog"
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND = 1, 2, 4, 8, 4096
MNT_DETACH = 2
DEVICES = {"null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9), "tty": (5, 0)}
LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"}

Entry = dict[str, Any]

_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str | None, flags: int = 0, data: str = "") -> None:
    """Mount a file system; `kind` None is a bind mount.

    Raises:
        OSError: the kernel refused it.
    """
    arguments = [source.encode(), target.encode(), kind.encode() if kind else None]
    if _libc.mount(*arguments, ctypes.c_ulong(flags), data.encode()) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mount of {source} ({kind or 'bind'}) failed: {os.strerror(code)}", target)


class Disk:
    """The host's root: overlays whose upper layers hold the image's files and all that the host writes.

    Args:
        directory: the directory of the upper layers.
        overlays: paths of the host, the root first; each has an overlay over the machine's same path.
    """

    def __init__(self, directory: str, overlays: list[str]) -> None:
        self.root = str(Path(directory) / "root")
        self._directory = directory
        self._layers = {path: str(Path(directory) / f"layer{number}") for number, path in enumerate(overlays)}

    def assemble(self, image: list[Entry]) -> None:
        """Fill the upper layers and mount the overlays; in memory if the data directory does not support overlays.

        Args:
            image: the image's entries, as `rootfs.py` describes them.
        """
        try:
            self._fill_and_mount(image)
        except OSError as error:
            # Usually a data directory on an overlay (in a container) or on a network file system.
            log(f"the data directory does not support overlays ({error}): the disk is in memory")
            mount("tmpfs", self._directory, "tmpfs", 0, "mode=755")
            self._fill_and_mount(image)

    def _fill_and_mount(self, image: list[Entry]) -> None:
        for layer in self._layers.values():
            for part in ("upper", "work"):
                Path(layer, part).mkdir(parents=True)
        Path(self.root).mkdir()
        for path, layer in self._layers.items():
            _copy_attributes(path, f"{layer}/upper")
        for entry in image:
            self._fill(entry)
        for path, layer in self._layers.items():
            self._mount_overlay(path, layer)

    def _mount_overlay(self, path: str, layer: str) -> None:
        target = self.root if path == "/" else self.root + path
        Path(target).mkdir(parents=True, exist_ok=True)
        options = f"lowerdir={_escaped(path)},upperdir={_escaped(layer)}/upper,workdir={_escaped(layer)}/work"
        try:
            # Nothing needs to be flushed: the disk never outlives the host.
            mount("overlay", target, "overlay", 0, f"{options},volatile")
        except OSError:
            mount("overlay", target, "overlay", 0, options)

    def _fill(self, entry: Entry) -> None:
        real = self._place(entry["path"])
        if entry.get("absent"):
            os.mknod(real, stat.S_IFCHR, os.makedev(0, 0))  # a deleted file, for overlayfs
            return
        if "link" in entry:
            Path(real).symlink_to(entry["link"])
            return
        if "text" in entry:
            Path(real).write_text(entry["text"], encoding="utf-8")
        elif not Path(real).is_dir():
            Path(real).mkdir()
        if entry.get("opaque"):
            os.setxattr(real, "trusted.overlay.opaque", b"y")
        if "uid" in entry:
            os.chown(real, entry["uid"], entry["gid"])
        Path(real).chmod(entry["mode"])

    def _place(self, path: str) -> str:
        """The path in the upper layers for a path of the host; its parents are created like the machine's."""
        parent, name = os.path.split(path)
        # Links on the way, such as /var/run -> /run, are the machine's own and stay.
        path = str(Path(os.path.realpath(parent), name))
        mounted = max((m for m in self._layers if path == m or path.startswith(m.rstrip("/") + "/")), key=len)
        upper = f"{self._layers[mounted]}/upper"
        inside = os.path.relpath(path, mounted)
        made = Path(mounted)
        for part in Path(inside).parts[:-1]:
            made /= part
            own = upper + "/" + os.path.relpath(made, mounted)
            if not Path(own).exists():
                Path(own).mkdir(mode=0o755)
                _copy_attributes(str(made), own)
        return f"{upper}/{inside}"

    def enter(self) -> None:
        """Make the disk the root directory, and unmount the machine's.

        Raises:
            OSError: the kernel refused it.
        """
        os.chdir(self.root)
        if _libc.pivot_root(b".", b".") != 0 or _libc.umount2(b".", MNT_DETACH) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"pivot_root failed: {os.strerror(code)}", self.root)
        os.chdir("/")


def _copy_attributes(machine_path: str, own: str) -> None:
    try:
        there = Path(machine_path).stat()
    except FileNotFoundError:
        return
    os.chown(own, there.st_uid, there.st_gid)
    Path(own).chmod(stat.S_IMODE(there.st_mode))


def _escaped(path: str) -> str:
    """A path escaped for the overlay's mount options."""
    return path.replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")


def mount_system(root: str, log_directory: str) -> None:
    """Mount the file systems of a host's own, and the log directory, which it shares with the machine."""
    mount("proc", f"{root}/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("sysfs", f"{root}/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY)
    mount("tmpfs", f"{root}/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755")
    Path(f"{root}/run/sshd").mkdir(mode=0o755)
    mount("tmpfs", f"{root}/dev", "tmpfs", MS_NOSUID, "mode=755")
    for name, numbers in DEVICES.items():
        os.mknod(f"{root}/dev/{name}", stat.S_IFCHR | 0o666, os.makedev(*numbers))
        Path(f"{root}/dev/{name}").chmod(0o666)
    for name, target in LINKS.items():
        Path(f"{root}/dev/{name}").symlink_to(target)
    for name in ("pts", "shm"):
        Path(f"{root}/dev/{name}").mkdir()
    mount("tmpfs", str(Path(root, "dev", "shm")), "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    pts = "newinstance,ptmxmode=0666,mode=0620,gid=5"
    mount("devpts", f"{root}/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, pts)
    Path(f"{root}/dev/ptmx").symlink_to("pts/ptmx")
    mount(log_directory, root + LOGS, None, MS_BIND)
