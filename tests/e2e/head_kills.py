"""Kills processes of a real head while a driver works, and prints a table; the command `scripts/head-kills`."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from tests.e2e.conftest import YAMLS, Box, as_user, running_box
from tests.e2e.ray_cli import Ray, wait_until
from tests.e2e.test_life_of_a_cluster import names, running_workers

HERE = Path(__file__).parent
DRIVER, JOB = HERE / "head_kills_driver.py", HERE / "head_kills_job.py"

KINDS = {
    "control store": "gcs_server",
    "autoscaler": "monitor.py",
    "dashboard": "dashboard.py",
    "log monitor": "log_monitor.py",
    "Ray Client server": "ray.util.client.server",
    "tag server": "valkey-server,redis-server",
    "dashboard agent": "kept:agent.py",
    "runtime environment agent": "kept:main.py",
}
"""The program of each kind, or one of several; `kept:` is a process below its keeper."""

SCALING_SECONDS = 10.0
"""From the return of the autoscaler to the launch of a node, and to the termination of one whose idle time is over."""

IDLE_SECONDS = 12.0
"""Idle time after which a node is terminated: `idle_timeout_minutes: 0.2` in the YAML."""

# A gang that needs a third worker. `request_resources()` would stop autoscaler v1 of Ray 2.52: docs/troubleshooting.md.
_GANG = (
    "import ray, time, ray.util as util; ray.init(address='auto', namespace='gang', log_to_driver=False); {do}; "
    "print('requested', time.time())"
)
GROW = _GANG.format(
    do="util.placement_group([{'CPU': 0.3}] * 3, strategy='STRICT_SPREAD', name='gang', lifetime='detached')"
)
WAIT = _GANG.format(do="ray.get(util.get_placement_group('gang').ready(), timeout=60)")
SHRINK = _GANG.format(do="util.remove_placement_group(util.get_placement_group('gang'))")

_BATCH = 8  # kills in one SSH session
_SECONDS_PER_KILL = 10.0  # an upper limit of a restart, beside the pause


@dataclass(frozen=True)
class Kill:
    """A kill.

    Attributes:
        kind: the kind of process.
        at: when, in seconds since the epoch.
        until: the time of the next kill.
    """

    kind: str
    at: float
    until: float = float("inf")

    def restarts(self, events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """The restarts that followed."""
        return [event for event in events if self.at <= event["time"] < self.until]

    def seconds(self, events: Sequence[dict[str, Any]]) -> float | None:
        """Until the process ran again; None if it did not."""
        return next((event["seconds"] for event in self.restarts(events) if event["kind"] == self.kind), None)

    def pause(self, pauses: Sequence[tuple[float, float]]) -> float:
        """The driver's longest pause that the kill may have caused."""
        return max((took for began, took in pauses if began < self.until and began + took > self.at), default=0.0)


class Head:
    """A cluster with two workers, and a driver on its head."""

    def __init__(self, ray: Ray, box: Box, pause: float) -> None:
        self._ray, self._pause = ray, pause
        self._platform = platform = box.view()
        self._disks = box.folder
        ray("up", "-y")
        wait_until(lambda: running_workers(platform) == 2, "there are two workers", 90)
        for job in (DRIVER, JOB):
            ray("rsync-up", str(job), f"~/{job.name}")
        ray("exec", f"setsid python {DRIVER.name} ~/driver.json >~/driver.log 2>&1 </dev/null & sleep 0.1")
        wait_until(lambda: len(self.report().get("places", [])) == 2, "the driver works on both workers")
        self.workers, self.instances = names(platform), platform.live_instances()
        self.least_workers, self.most_instances = self.workers, self.instances

    def report(self) -> dict[str, Any]:
        """What the driver has reported last."""
        found: dict[str, Any] = json.loads(self._on_disk("driver.json") or "{}")
        return found

    def restarts(self) -> list[dict[str, Any]]:
        """All restarts of the head's processes."""
        return [json.loads(line) for line in self._on_disk("restarts").splitlines()]

    def _on_disk(self, name: str) -> str:
        """The content of a file of the head; empty if there is none."""
        return next((file.read_text() for file in self._disks.rglob(name) if file.is_file()), "")

    def kill(self, kinds: Sequence[str]) -> list[Kill]:
        """Kill a process of each kind in turn."""
        programs = " ".join(KINDS[kind] for kind in kinds)
        limit = len(kinds) * (self._pause + _SECONDS_PER_KILL) + 60
        output = self._ray("exec", f"python {JOB.name} --pause {self._pause} {programs}", timeout=limit)
        found = [json.loads(line) for line in output.splitlines() if line.startswith('{"program"')]
        self.least_workers &= names(self._platform)
        self.most_instances = max(self.most_instances, self._platform.live_instances())
        return [Kill(kind, kill["killed"]) for kind, kill in zip(kinds, found, strict=True)]

    def goes_on(self) -> bool:
        """Whether the driver works."""
        rounds = self.report().get("rounds", 0)
        time.sleep(2)
        return bool(self.report().get("rounds", 0) > rounds)

    def scaling_seconds(self, code: str, workers: int) -> float:
        """From a request, just after the autoscaler was killed, to that number of workers."""
        command = f'python {JOB.name} --pause 0 monitor.py; python -c "{code}"'
        with ThreadPoolExecutor(1) as executor:
            output = executor.submit(self._ray, "exec", command)
            wait_until(lambda: len(names(self._platform)) == workers, f"the autoscaler scales to {workers} workers", 90)
            scaled = time.time()
            return scaled - float(output.result().rpartition("requested ")[2].split()[0])

    def wait_for_gang(self) -> None:
        """Wait until the gang is placed, and end the driver, whose tasks spread to the third worker."""
        wait_until(lambda: running_workers(self._platform) == 3, "the third worker runs", 90)
        self._ray("exec", f'python -c "{WAIT}"; touch ~/stop-driver')

    def logs(self) -> str:
        """The last lines of the driver, the control store and the autoscaler."""
        logs = "/tmp/ray/session_latest/logs"  # noqa: S108 - Ray's folder on the head
        files = f"~/driver.log {logs}/gcs_server.out {logs}/gcs_server.err {logs}/monitor.log {logs}/raylet.out"
        return self._ray("exec", f"tail -n 15 {files} ~/.raydog/store/restarts", check=False)


def main() -> int:
    """Make a cluster, kill processes, print the table; returns the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/head-kills", add_help=False)  # the script has the help
    parser.add_argument("--autoscaler", choices=["v1", "v2"], default="v2")
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=0.0)
    parser.add_argument("--pause", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    kinds = options.kind or list(KINDS)
    generator = random.Random(options.seed)
    text = YAMLS["v2"].read_text().replace("max_workers: 2", "max_workers: 3")
    text = text.replace("min_workers: 0", "min_workers: 2")
    with tempfile.TemporaryDirectory() as folder, running_box(Path(folder) / "platform") as box:
        user = Path(folder) / "user"
        user.mkdir()
        ray = as_user(user, box, text, options.autoscaler)
        try:
            head = Head(ray, box, options.pause)
            kills: list[Kill] = []
            for _ in range(options.times):
                kills += head.kill(kinds)
            deadline = time.monotonic() + 60 * options.minutes
            while time.monotonic() < deadline:
                kills += head.kill(generator.choices(kinds, k=_BATCH))
            return _conclude(head, kills)
        finally:
            ray("down", "-y", check=False)


def _conclude(head: Head, kills: Sequence[Kill]) -> int:
    goes_on, report, events = head.goes_on(), head.report(), head.restarts()
    kills = [replace(kill, until=after.at) for kill, after in pairwise(kills)] + list(kills[-1:])
    for line in table(kills, events, report.get("pauses", [])):
        print(line)
    failures = [f"{kill.kind} did not restart" for kill in kills if kill.seconds(events) is None]
    failures += ["the driver failed"] if not goes_on else []
    failures += ["the actor lost its process or state"] if _actor(report) != (1, True) else []
    failures += [f"workers lost: {head.workers - head.least_workers}"] if head.workers - head.least_workers else []
    failures += ["machines too many"] if head.most_instances > head.instances else []
    growth = head.scaling_seconds(GROW, 3)
    head.wait_for_gang()
    shrinking = head.scaling_seconds(SHRINK, 2) - IDLE_SECONDS
    failures += ["growth took too long"] if growth > SCALING_SECONDS else []
    failures += ["shrinking took too long"] if shrinking > SCALING_SECONDS else []
    print(f"\n{len(kills)} kills; {report.get('rounds')} rounds of the driver")
    print(f"A node was launched {growth:.1f} s after the return of the autoscaler,")
    print(f"and one that was not needed was terminated {shrinking:.1f} s after its idle time.")
    print("; ".join(failures) or "The driver, the actor and the workers went on.")
    if failures:
        print(head.logs())
    return 1 if failures else 0


def _actor(report: dict[str, Any]) -> tuple[Any, Any]:
    return report.get("actor_processes"), report.get("in_order")


def table(kills: Sequence[Kill], events: Sequence[dict[str, Any]], pauses: Sequence[tuple[float, float]]) -> list[str]:
    """A Markdown table with a line for each kind.

    Args:
        kills: the kills, in order.
        events: the restarts.
        pauses: the begin and the seconds of the driver's rounds that took long.
    """
    lines = [
        "| killed | times | restarted after (median, longest) | restarted with it | longest pause of the driver |",
        "|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(kill.kind for kill in kills):
        mine = [kill for kill in kills if kill.kind == kind]
        seconds = [took for kill in mine if (took := kill.seconds(events)) is not None]
        others = {event["kind"] for kill in mine for event in kill.restarts(events)} - {kind}
        longest = max(kill.pause(pauses) for kill in mine)
        restarted = f"{median(seconds):.1f} s, {max(seconds):.1f} s" if seconds else "never"
        pause = f"{longest:.1f} s" if longest else "none"
        lines.append(f"| {kind} | {len(mine)} | {restarted} | {', '.join(sorted(others)) or 'nothing'} | {pause} |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
