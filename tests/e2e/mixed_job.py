"""Uses three node types by a placement group with labels, keeps its actor, and later requests a fourth node type."""

from __future__ import annotations

import os
import time

import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

BUNDLES = [{"CPU": 1}, {"GPU": 1}, {"CPU": 1}]
SELECTORS = [{"zone": "a"}, {"zone": "b"}, {"market": "spot"}]


@ray.remote
def node_type() -> str:
    """The type of the node that this runs on."""
    return os.environ["RAY_NODE_TYPE_NAME"]


@ray.remote(num_cpus=0)
class Memory:
    """Lives through the second `ray up`, if no work is lost."""

    def __init__(self) -> None:
        self.born = time.time()

    def age(self) -> float:
        """Seconds since it was made."""
        return time.time() - self.born


if __name__ == "__main__":
    ray.init(address="auto")
    group = placement_group(BUNDLES, strategy="STRICT_SPREAD", bundle_label_selector=SELECTORS)
    ray.get(group.ready())
    places = [PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=i) for i in range(len(BUNDLES))]
    needs = [{"num_cpus": 1}, {"num_cpus": 0, "num_gpus": 1}, {"num_cpus": 1}]
    met = [node_type.options(scheduling_strategy=place, **need) for place, need in zip(places, needs, strict=True)]
    print("met on:", *ray.get([each.remote() for each in met]), flush=True)

    memory = Memory.options(scheduling_strategy=places[0]).remote()
    ray.get(memory.age.remote())
    began = time.time()
    print("waiting for a large node", flush=True)
    large = node_type.options(num_cpus=1, resources={"large": 1}).remote()
    print("ran on:", ray.get(large), flush=True)
    print("nothing was lost:", ray.get(memory.age.remote()) >= time.time() - began, flush=True)
