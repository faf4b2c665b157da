"""Processes of this machine by /proc: how one was started, and how to start it again. Must not import Ray."""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

GRACEFUL_CODES = frozenset({0, -signal.SIGTERM, 128 + signal.SIGTERM})
"""Exit codes of a process of Ray that was stopped (`scripts/scripts.py` of Ray 2.60 expects the same ones)."""

_PROC = Path("/proc")
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h
_LOG_OPTION = re.compile(r"--std(?:err|out)[-_]filepath=(.+)")


@dataclass(frozen=True)
class Command:
    """All that is needed to start a process again.

    Attributes:
        argv: the program and its arguments.
        environment: its variables.
        directory: its working directory.
        output: the files of its standard output and standard error; None for those of this process.
    """

    argv: Sequence[str]
    environment: Mapping[str, str]
    directory: str = "/"
    output: tuple[str | None, str | None] = (None, None)

    @property
    def logs(self) -> list[Path]:
        """The files that it writes its last words to."""
        named = (_LOG_OPTION.fullmatch(argument) for argument in self.argv)
        files = [match[1] for match in named if match] + [file for file in self.output if file]
        return [Path(file) for file in files if file != os.devnull]


def command_of(pid: int) -> Command | None:
    """How a running process was started; None if it has ended or belongs to another user."""
    folder = _PROC / str(pid)
    try:
        argv = _strings(folder / "cmdline")
        variables = dict(entry.partition("=")[::2] for entry in _strings(folder / "environ"))
        return Command(
            argv, variables, str((folder / "cwd").readlink()), (_file(folder / "fd/1"), _file(folder / "fd/2"))
        )
    except OSError:
        return None


def _strings(file: Path) -> list[str]:
    return [os.fsdecode(part) for part in file.read_bytes().split(b"\0")[:-1]]


def _file(descriptor: Path) -> str | None:
    """The file behind a descriptor; None for a pipe or a socket, which cannot be opened by name."""
    target = str(descriptor.readlink())
    return target if target.startswith("/") else None


def children() -> list[int]:
    """The process ids of this process's children, those included that it has adopted."""
    own = str(os.getpid())
    return [int(folder.name) for folder in _PROC.iterdir() if folder.name.isdigit() and _parent(folder) == own]


def _parent(folder: Path) -> str | None:
    try:
        stat = (folder / "stat").read_text(errors="replace")
    except OSError:
        return None
    return stat.rpartition(")")[2].split()[1]


def adopt_orphans() -> None:
    """Become the parent of descendants whose parents end, such as the processes that `ray start` leaves behind.

    Raises:
        OSError: the kernel refuses.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, value, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), f"prctl({option})")


def add_badness(pid: int | str, badness: int) -> None:
    """Let the kernel end a process earlier than others when memory is short.

    Args:
        pid: its id, or `self`.
        badness: what its `oom_score_adj` rises by, up to 1,000. Only a privileged process may lower it.
    """
    file = _PROC / str(pid) / "oom_score_adj"
    with suppress(OSError):  # it has ended, or is another user's
        file.write_text(str(min(1000, int(file.read_text()) + badness)))


def start(
    command: Command, *, with_input: bool = False, ends_with_parent: bool = False, memory_badness: int = 0
) -> int:
    """Start a process as a child of this one. Returns its process id.

    Not with `subprocess`, which reaps children of its own accord: this program waits for all of its children at once.

    Args:
        command: the process.
        with_input: whether it gets this process's standard input; otherwise it gets none.
        ends_with_parent: whether the kernel ends it (SIGTERM) with the thread that calls this function.
        memory_badness: see `add_badness`.
    """
    pid = os.fork()
    if pid == 0:
        add_badness("self", memory_badness)
        _become(command, None if with_input else os.devnull, ends_with_parent=ends_with_parent)
    return pid


def _become(command: Command, source: str | None, *, ends_with_parent: bool) -> NoReturn:
    try:
        if ends_with_parent:
            _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        files = (source, *command.output)
        for descriptor, file in enumerate(files):
            if file is not None:
                flags = os.O_RDONLY if descriptor == 0 else os.O_WRONLY | os.O_APPEND | os.O_CREAT
                opened = os.open(file, flags, 0o644)
                os.dup2(opened, descriptor)
        os.closerange(3, 256)
        os.chdir(command.directory)
        os.execvpe(command.argv[0], list(command.argv), dict(command.environment))  # noqa: S606 - no shell is needed
    except OSError as error:
        sys.stderr.write(f"{command.argv[0]}: {error}\n")
        sys.stderr.flush()
    finally:
        os._exit(127)


def reason_of(code: int, *, out_of_memory: bool = False) -> str:
    """Why a process ended, in words.

    Args:
        code: its exit code, or the negative number of a signal.
        out_of_memory: whether the kernel has meanwhile killed a process for want of memory.
    """
    if code == -signal.SIGKILL:
        return "killed: out of memory" if out_of_memory else "killed"
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def out_of_memory_kills() -> int:
    """How many processes the kernel has killed on this machine for want of memory; 0 where it does not count them."""
    try:
        lines = (_PROC / "vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
