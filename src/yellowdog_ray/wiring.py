"""Decides on which side a provider runs: on the user's machine under a `ray` command, or in the head's autoscaler.

Nothing else in the provider makes this decision. `credentials` too reads `ON_HEAD`, for the order of the key's sources.
"""

from __future__ import annotations

import os
from typing import Any

from yellowdog_ray.clock import SystemClock
from yellowdog_ray.commands.context import yaml_file
from yellowdog_ray.commands.laptop_side import LaptopSide
from yellowdog_ray.monitor.head_side import HeadSide
from yellowdog_ray.node import variables
from yellowdog_ray.side import Side


def make_side(provider_config: dict[str, Any], cluster_name: str) -> Side:
    """The side of this process. No I/O.

    Args:
        provider_config: the YAML's `provider` section.
        cluster_name: the YAML's `cluster_name`.
    """
    source, _ = yaml_file()
    clock = SystemClock()
    on_head = os.environ.get(variables.ON_HEAD) == "1"
    if not on_head:
        return LaptopSide(provider_config, cluster_name, source, clock)
    return HeadSide(
        provider_config,
        cluster_name,
        source,
        clock,
        requirement_id=os.environ.get(variables.WORK_REQUIREMENT_ID),
        v2=os.environ.get(variables.AUTOSCALER_V2) == "1",
        auth_mode=os.environ.get(variables.AUTH_MODE),
        restart=os.environ.get(variables.HEAD_RESTART),
    )
