"""A job that needs two workers at the same time: one CPU on each of two different nodes."""

import time

import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

WORKERS = 2


@ray.remote(num_cpus=1)
def where() -> str:
    """Return the address of the node."""
    return ray.util.get_node_ip_address()


if __name__ == "__main__":
    ray.init(address="auto")
    began = time.monotonic()
    group = placement_group([{"CPU": 1}] * WORKERS, strategy="STRICT_SPREAD")
    ray.get(group.ready())
    places = [PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=i) for i in range(WORKERS)]
    hosts = ray.get([where.options(scheduling_strategy=place).remote() for place in places])
    print(f"met on {len(set(hosts))} workers after {time.monotonic() - began:.1f} s: {', '.join(sorted(hosts))}")
