"""Run on the head: kills one process after the other, and waits until the supervisor has started it again."""

import json
import os
import signal
import sys
import time
from pathlib import Path

EVENTS = Path.home() / ".raydog/store/restarts"


KEEPER = "yellowdog_ray.head.agent"


def processes() -> dict[int, tuple[int, list[str]]]:
    """Parent and first arguments of each process but this one."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                argv = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:6]
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            found[int(folder.name)] = parent, argv
    return found


def pids(program: str) -> list[int]:
    """Processes of a program; `kept:` and a program is the process below its keeper, whatever its title."""
    everything = processes()
    name = program.removeprefix("kept:")
    found = {
        pid: KEEPER in argv
        for pid, (_, argv) in everything.items()
        if any(Path(word).name == name for word in argv) and "--mode=specific-server" not in argv
    }
    if name == program:
        return [pid for pid, kept in found.items() if not kept]
    return [pid for pid, (parent, _) in everything.items() if found.get(parent)]


def events() -> list[str]:
    """The restarts so far."""
    return EVENTS.read_text().splitlines() if EVENTS.exists() else []


def main(programs: list[str]) -> None:
    """Kill each, five seconds after the one before has come back."""
    for program in programs:
        before = len(events())
        for pid in pids(program)[:1]:
            os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 40
        while len(events()) == before and time.monotonic() < deadline:
            time.sleep(0.05)
        print(program, json.dumps([json.loads(line) for line in events()[before:]]), flush=True)
        time.sleep(5)


if __name__ == "__main__":
    main(sys.argv[1:])
