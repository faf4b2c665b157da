"""Comparison of declared resources with a machine's size. No I/O, no state."""

from __future__ import annotations

from collections.abc import Mapping

from yellowdog_ray.platform.types import MachineSize

GIB = 2**30


def excess(declared: Mapping[str, float], size: MachineSize) -> list[str]:
    """One phrase per resource that is declared beyond the machine's size. Skips unknown sizes."""
    there = {"CPU": size.vcpus, "GPU": size.gpus, "memory": size.ram * GIB}
    return [
        f"{word}: {declared[word]:g}, but its machine has {amount:g}"
        for word, amount in there.items()
        if amount is not None and declared.get(word, 0) > amount
    ]
