"""A job of one-CPU tasks that sleep, so that the cluster grows and shrinks.

python sleep.py [number of tasks] [seconds of each]
"""

import sys
import time

import ray


@ray.remote(num_cpus=1)
def nap(seconds: float) -> float:
    """Sleep; return the duration."""
    time.sleep(seconds)
    return seconds


if __name__ == "__main__":
    tasks = int(sys.argv[1]) if len(sys.argv) > 1 else 2  # as many as the example has workers
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 5.0
    ray.init(address="auto")
    began = time.monotonic()
    slept = ray.get([nap.remote(seconds) for _ in range(tasks)])
    print(f"{len(slept)} tasks slept {sum(slept):.0f} s in {time.monotonic() - began:.1f} s")
