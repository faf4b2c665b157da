"""A job that runs on a head: wants one CPU, and tells when it wanted it, when a worker joined, and when the task ran.

The workers that are there already are kept busy meanwhile, with all CPUs that they have. Knows Ray only.
"""

from __future__ import annotations

import json
import threading
import time

import ray

_LOOK_SECONDS = 0.05
_PATIENCE_SECONDS = 60.0


@ray.remote(num_cpus=1)  # type: ignore[untyped-decorator]  # Ray's
def moment() -> float:
    """When this runs."""
    return time.time()


@ray.remote  # type: ignore[untyped-decorator]  # Ray's
class Holder:
    """Keeps a worker busy."""

    def ready(self) -> None:
        """Return once it is there."""


def alive() -> int:
    """How many nodes Ray has."""
    return sum(node["Alive"] for node in ray.nodes())


def wait_for(count: int) -> float:
    """Wait for so many nodes; when there were."""
    deadline = time.time() + _PATIENCE_SECONDS
    while alive() < count:
        if time.time() > deadline:
            raise TimeoutError(f"Ray has {alive()} nodes, and not {count}, after {_PATIENCE_SECONDS:.0f} s")
        time.sleep(_LOOK_SECONDS)
    return time.time()


def connect() -> None:
    """Connect to this head's Ray, which may be just starting."""
    deadline = time.time() + _PATIENCE_SECONDS
    while not ray.is_initialized():
        try:
            ray.init(address="auto", log_to_driver=False)
        except (ConnectionError, RuntimeError, ValueError):  # noqa: PERF203 - a few times only
            if time.time() > deadline:
                raise
            time.sleep(_LOOK_SECONDS)


def main() -> None:
    """Want what is asked for; what is learnt is the last line."""
    connect()
    sizes = [node["Resources"]["CPU"] for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    holders = [Holder.options(num_cpus=size).remote() for size in sizes]  # type: ignore[attr-defined]  # Ray's
    ray.get([holder.ready.remote() for holder in holders], timeout=_PATIENCE_SECONDS)
    times: dict[str, float] = {}
    watch = threading.Thread(target=lambda: times.update(joined=wait_for(2 + len(sizes))))
    wanted = time.time()
    task = moment.remote()
    watch.start()
    ran = ray.get(task, timeout=_PATIENCE_SECONDS)
    watch.join()
    print(json.dumps({"wanted": wanted, "ran": ran, **times}))


if __name__ == "__main__":
    main()
