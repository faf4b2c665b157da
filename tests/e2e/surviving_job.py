"""Kills the control store and the autoscaler of its own head, while its actors use both workers."""

import os
import subprocess
import time
from pathlib import Path

import ray

RESTARTS = Path("~/.raydog/store/restarts").expanduser()
SECONDS = 60.0


@ray.remote(num_cpus=1)
class Holder:
    """Uses the only CPU of a worker."""

    def process(self) -> int:
        """The id of the actor's process."""
        return os.getpid()


def restarts() -> list[str]:
    """The restarts that the supervisor has recorded."""
    return RESTARTS.read_text().splitlines() if RESTARTS.exists() else []


if __name__ == "__main__":
    ray.init(address="auto")
    holders = [Holder.remote() for _ in range(2)]
    before = ray.get([holder.process.remote() for holder in holders])
    for options in (["-x", "gcs_server"], ["-f", "/[m]onitor.py"]):
        subprocess.run(["pkill", "-KILL", *options], check=True)
    deadline = time.monotonic() + SECONDS
    while len(restarts()) < len(holders) and time.monotonic() < deadline:
        time.sleep(0.1)
    print(*restarts(), sep="\n")
    print("same actors:", ray.get([holder.process.remote() for holder in holders]) == before)
