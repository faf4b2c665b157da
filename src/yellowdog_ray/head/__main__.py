"""The program `python -m yellowdog_ray.head`, which the head's default task script runs. See `supervisor`."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from yellowdog_ray.head import processes
from yellowdog_ray.head.events import Events
from yellowdog_ray.head.hook import HOOK
from yellowdog_ray.head.kinds import TAG_SERVER
from yellowdog_ray.head.processes import Command
from yellowdog_ray.head.store import Store
from yellowdog_ray.head.supervisor import End, Supervisor, supervise
from yellowdog_ray.node import variables
from yellowdog_ray.node.scripts import CANNOT_SUPERVISE, EVENTS_FILE
from yellowdog_ray.node.start_hook import AGENT_HOOK

FIRST_SERVER = 6
"""The first major version of Redis with users; each Valkey has them."""


def main() -> int:
    """Supervise a head, or report whether that is possible; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m yellowdog_ray.head")
    parser.add_argument("--folder", type=Path, required=True, help="directory of the store's files")
    parser.add_argument("--server", required=True, help="valkey-server or redis-server")
    parser.add_argument("--port", type=int, required=True, help="port of the tag server")
    parser.add_argument("--check", action="store_true", help="only report what is missing on this machine")
    parser.add_argument("command", nargs="*", help="ray start with its options, after --")
    options = parser.parse_args()
    if options.check:
        return _check(options.server)
    return _supervise(options.folder, options.server, options.port, options.command)


def _check(server: str) -> int:
    missing = _missing(server)
    if missing:
        _report(f"the head ends with the first of Ray's processes that dies: {missing}")
    return CANNOT_SUPERVISE if missing else 0


def _missing(server: str) -> str | None:
    """The requirement of a supervised head that this machine does not meet; None if it meets all."""
    if os.environ.get(variables.START_HOOK, AGENT_HOOK) != AGENT_HOOK:
        return f"{variables.START_HOOK} is set"
    version = subprocess.run([server, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"v=(\d+)", version)
    if not found or int(found[1]) < FIRST_SERVER:
        return f"{server} has no users (version 6 or later is needed): {version.strip() or 'no version'}"
    try:
        processes.adopt_orphans()
    except OSError as error:
        return str(error)
    return None


def _supervise(folder: Path, server: str, port: int, command: list[str]) -> int:
    events = folder / Path(EVENTS_FILE).name
    try:
        processes.adopt_orphans()
        store = Store(folder, port, os.environ.get(variables.CLOUD_INSTANCE_ID, "head"))
        supervisor = Supervisor(_report, Events(events), store.answers)
        supervisor.add(TAG_SERVER, store.command(server), store.set_aside)
    except OSError as error:
        _report(f"the supervisor does not start: {error}")
        return CANNOT_SUPERVISE
    environment = {
        **os.environ,
        variables.START_HOOK: HOOK,
        variables.STORE: str(store.access),
        variables.SUPERVISOR: str(os.getpid()),
        variables.HEAD_EVENTS: str(events),
    }
    try:
        return supervise(supervisor, Command(command, environment, str(Path.cwd())), sys.stdin)
    except End as end:
        print(f"RayDog: {end}" if end.code else end, file=sys.stderr if end.code else sys.stdout, flush=True)
        return end.code
    finally:
        supervisor.kill_all()


def _report(line: str) -> None:
    with suppress(OSError):  # a full disk costs the line, not the head
        print(f"RayDog: {line}", flush=True)  # noqa: T201 - the task's output is where this program reports


if __name__ == "__main__":
    sys.exit(main())
