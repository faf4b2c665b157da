"""Run on the head: kills one process after the other, and waits until the supervisor has started it again."""

import json
import os
import signal
import sys
import time
from pathlib import Path

EVENTS = Path.home() / ".raydog/store/restarts"


def pids(program: str) -> list[int]:
    """Processes with a program among their first arguments."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                argv = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")[:5]
            except OSError:
                continue
            if any(Path(word).name == program for word in argv) and "--mode=specific-server" not in argv:
                found.append(int(folder.name))
    return found


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
