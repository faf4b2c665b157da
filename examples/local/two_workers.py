"""A job that needs two workers at the same time: neither task can end before the other has begun."""

import socket
import time

import ray


@ray.remote(num_cpus=0)
class Meeting:
    """Counts who has arrived."""

    def __init__(self) -> None:
        self.arrived: list[str] = []

    def arrive(self, name: str) -> None:
        self.arrived.append(name)

    def size(self) -> int:
        return len(self.arrived)


@ray.remote(num_cpus=1)
def meet(meeting: "ray.actor.ActorHandle", people: int) -> str:
    """Wait until everyone is there, then say on which host that was."""
    host = socket.gethostname()
    ray.get(meeting.arrive.remote(host))
    while ray.get(meeting.size.remote()) < people:
        time.sleep(0.2)
    return host


if __name__ == "__main__":
    ray.init(address="auto")
    began = time.monotonic()
    meeting = Meeting.remote()
    hosts = ray.get([meet.remote(meeting, 2) for _ in range(2)])
    print(f"met on {len(set(hosts))} workers after {time.monotonic() - began:.1f} s: {', '.join(sorted(hosts))}")
