"""A job for a head: requests one CPU, and prints the times of the request, of a worker's join, and of the task's start.

Existing workers are kept busy with all their CPUs. Imports Ray only.
"""

from __future__ import annotations

import json
import threading
import time

import ray

_POLL_SECONDS = 0.05
_TIMEOUT_SECONDS = 60.0


@ray.remote(num_cpus=1)  # type: ignore[untyped-decorator]  # Ray's
def moment() -> float:
    """Time of the task's start."""
    return time.time()


@ray.remote  # type: ignore[untyped-decorator]  # Ray's
class Holder:
    """Keeps a worker busy."""

    def ready(self) -> None:
        """Return once the actor runs."""


def alive() -> int:
    """Number of live nodes in Ray."""
    return sum(node["Alive"] for node in ray.nodes())


def wait_for(count: int) -> float:
    """Wait for that many nodes; return the time."""
    deadline = time.time() + _TIMEOUT_SECONDS
    while alive() < count:
        if time.time() > deadline:
            raise TimeoutError(f"Ray has {alive()} nodes instead of {count} after {_TIMEOUT_SECONDS:.0f} s")
        time.sleep(_POLL_SECONDS)
    return time.time()


def connect() -> None:
    """Connect to this head's Ray, which may still be starting."""
    deadline = time.time() + _TIMEOUT_SECONDS
    while not ray.is_initialized():
        try:
            ray.init(address="auto", log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError):  # noqa: PERF203 - a few times only
            if time.time() > deadline:
                raise
            time.sleep(_POLL_SECONDS)


def main() -> None:
    """Run the job; the last line of output is the result."""
    connect()
    sizes = [node["Resources"]["CPU"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    holders = [Holder.options(num_cpus=size).remote() for size in sizes]  # type: ignore[attr-defined]  # Ray's
    ray.get([holder.ready.remote() for holder in holders], timeout=_TIMEOUT_SECONDS)
    times: dict[str, float] = {}
    watch = threading.Thread(target=lambda: times.update(joined=wait_for(2 + len(sizes))))
    wanted = time.time()
    task = moment.remote()
    watch.start()
    ran = ray.get(task, timeout=_TIMEOUT_SECONDS)
    watch.join()
    print(json.dumps({"wanted": wanted, "ran": ran, **times}))


if __name__ == "__main__":
    main()
