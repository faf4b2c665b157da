"""A driver on the head that works without pause on two workers, and reports each pause and failure that it notices."""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import ray

STOP = Path.home() / "stop-steady-job"


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
    counts: list[tuple[int, int]] = []
    longest, last = 0.0, None
    while not STOP.exists():
        found = ray.get([work.remote(), work.remote(), actor.add.remote()])
        places.update(found[:2])
        counts.append(found[2])
        now = time.monotonic()
        longest, last = max(longest, now - (last or now)), now
        result = {"rounds": len(counts), "longest": round(longest, 1), "places": sorted(places)}
        result["actor_processes"] = len({pid for _, pid in counts})
        result["in_order"] = [count for count, _ in counts] == list(range(1, len(counts) + 1))
        report.with_suffix(".new").write_text(json.dumps(result))
        report.with_suffix(".new").rename(report)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
