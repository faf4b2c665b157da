"""A job of many short tasks on two workers, which finishes although one of them is lost on the way."""

import socket
import time

import ray

TASKS = 45
SECONDS = 1.5


@ray.remote(num_cpus=1, max_retries=-1)
def work(number: int) -> str:
    """Take a while, and say where."""
    time.sleep(SECONDS)
    print(f"task {number} ends")
    return socket.gethostname()


if __name__ == "__main__":
    ray.init(address="auto")
    hosts = ray.get([work.remote(number) for number in range(TASKS)])
    print(f"all {len(hosts)} tasks are done, on {len(set(hosts))} hosts")
