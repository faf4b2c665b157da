"""A driver on the head that works without pause on two workers, and reports each pause that it notices."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import ray

STOP = Path.home() / "stop-driver"
PAUSE_SECONDS = 2.0
"""A round of two tasks and a call of an actor takes 0.5 s; a longer one than this is reported."""


@ray.remote(num_cpus=0.5, max_retries=0, scheduling_strategy="SPREAD")
def work() -> str:
    """Take a while, and say where."""
    time.sleep(0.5)
    return ray.util.get_node_ip_address()


@ray.remote(num_cpus=0.1, max_restarts=0, max_task_retries=0)
class Counter:
    """An actor that outlives its driver."""

    def __init__(self) -> None:
        self.count = 0

    def add(self) -> tuple[int, int]:
        """Count; returns the count, and the process."""
        self.count += 1
        return self.count, os.getpid()


def main(report: Path) -> None:
    """Work until the file `STOP` appears."""
    ray.init(address="auto", log_to_driver=False)
    actor: Any = Counter.options(name="counter", namespace="steady", lifetime="detached").remote()
    places: set[str] = set()
    actor_processes: set[int] = set()
    pauses: list[tuple[float, float]] = []
    rounds = 0
    while not STOP.exists():
        began = time.time()
        found = ray.get([work.remote(), work.remote(), actor.add.remote()])
        seconds = time.time() - began
        rounds += 1
        places.update(found[:2])
        actor_processes.add(found[2][1])
        if rounds > 1 and seconds > PAUSE_SECONDS:
            pauses.append((began, round(seconds, 1)))
        result = {"rounds": rounds, "places": sorted(places), "pauses": pauses}
        result |= {"actor_processes": len(actor_processes), "in_order": found[2][0] == rounds}
        report.with_suffix(".new").write_text(json.dumps(result))
        report.with_suffix(".new").rename(report)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
