"""Run on the head: kills one process after the other, and waits until the supervisor has started it again."""

import argparse
import json
import os
import signal
import time
from pathlib import Path

EVENTS = Path.home() / ".raydog/store/restarts"
KEEPER = "yellowdog_ray.head.agent"
SUPERVISOR = "yellowdog_ray.head"
RESTART_SECONDS = 60


def processes() -> dict[int, tuple[int, list[str]]]:
    """Parent and first arguments of each process but this one."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                argv = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:10]
                parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            found[int(folder.name)] = parent, argv
    return found


def pids(program: str) -> list[int]:
    """Processes of a program, or of one of several; `kept:` is the process below its keeper, whatever its title."""
    everything = processes()
    names = program.removeprefix("kept:").split(",")
    found = {
        pid: KEEPER in argv
        for pid, (_, argv) in everything.items()
        if any(Path(word.partition(" ")[0]).name in names for word in argv)
        and not {"--mode=specific-server", SUPERVISOR} & set(argv)
    }
    if not program.startswith("kept:"):
        return [pid for pid, kept in found.items() if not kept]
    return [pid for pid, (parent, _) in everything.items() if found.get(parent)]


def events() -> list[str]:
    """The restarts so far."""
    return EVENTS.read_text().splitlines() if EVENTS.exists() else []


def kill(program: str) -> None:
    """Kill a process, wait for its restart, and print what was killed when, as a JSON object."""
    before = len(events())
    killed = time.time()
    found = pids(program)[:1]
    for pid in found:
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + RESTART_SECONDS
    while found and len(events()) == before and time.monotonic() < deadline:
        time.sleep(0.05)
    print(json.dumps({"program": program, "pids": found, "killed": killed}), flush=True)


def main() -> None:
    """Kill each program's process, with a pause after each kill."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pause", type=float, required=True, help="seconds after each kill")
    parser.add_argument("programs", nargs="+")
    options = parser.parse_args()
    for program in options.programs:
        kill(program)
        time.sleep(options.pause)


if __name__ == "__main__":
    main()
