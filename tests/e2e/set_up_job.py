"""Shows what the set-up has left on the head, where this runs, and on a worker by the first task that runs there."""

import json
import os
import time
from pathlib import Path

import ray
import redis

STEPS = Path.home() / "steps"
TAG_PORT = 16667


@ray.remote(num_cpus=1)
def look() -> dict[str, str]:
    return {
        "steps": STEPS.read_text(),
        "data": (Path.home() / "mounted/data.txt").read_text(),
        "node": os.environ["RAY_CLOUD_INSTANCE_ID"],
    }


def status(node_id: str) -> str:
    """What Ray's updater has written down of a node, once it has come to an end."""
    store = redis.Redis(port=TAG_PORT, decode_responses=True)
    for _ in range(100):
        status_tag = json.loads(store.hget("raydog:updaters:tags", node_id) or "{}").get("ray-node-status", "")
        if status_tag in ("up-to-date", "update-failed"):
            break
        time.sleep(0.2)
    return str(status_tag)


if __name__ == "__main__":
    ray.init(address="auto")
    worker = ray.get(look.remote())
    head = {
        "steps": STEPS.read_text(),
        "ip": ray.util.get_node_ip_address(),
        "client": os.environ.get("SSH_CONNECTION", "").split(" ")[0],
    }
    found = {"head": head, "worker": worker, "status": status(worker["node"])}
    print("found " + json.dumps(found))
