"""Limits of YellowDog, and the pacing that a head gives Ray's autoscaler, each with its source. Constants only."""

from __future__ import annotations

from datetime import timedelta

from yellowdog_ray.node import variables

MAX_POOL_NODES = 10_000
"""Nodes in one worker pool (official CLI, `MAX_WORKER_POOL_NODE_COUNT`, "enforced by the platform"). A node type with
more nodes gets another task group with a pool of its own."""

MIN_POOL_LIMIT = 10
"""Minimum `maxNodes` of a pool of workers, so that a small increase of `max_workers` needs no further pool."""

REPLACEMENT_FACTOR = 2
"""`maxNodes` of a pool per `max_workers` of its node type: every node may be replaced while it still runs."""

MAX_TASK_GROUPS = 1_000
"""Task groups in one work requirement (docstring of the SDK's `model/work_requirement.py`)."""

MAX_LAUNCHES = 10_000
"""Maximum nodes that one tick of Ray's autoscaler may launch."""

UPSCALING_SPEED = 99_999
"""Ray's `upscaling_speed`. Ray leaves it at 0 for external providers: one node per type and tick (autoscaler/v2 of
Ray 2.60)."""

IDLE_TIMEOUT_MINUTES = 5
"""Ray's `idle_timeout_minutes`, with the default of Ray's documentation. Ray leaves it out for external providers:
autoscaler v2 of Ray 2.60 then never ends idle workers, and v1 fails at every tick."""

SMALL_CLUSTER = 250
"""Maximum `max_workers` of a cluster that Ray polls more often; in a larger one each poll costs its control store and
its autoscaler too much. Under autoscaler v2 only: v1's data are older than these intervals
(`RayNodes.counts_placed_groups`)."""

TICK_SECONDS, SMALL_TICK_SECONDS = 2, 1
"""Seconds between two ticks of Ray's autoscaler, in a large and in a small cluster. Ray's own: 5."""

LOADS_MILLISECONDS, SMALL_LOADS_MILLISECONDS = 1_000, 250
"""Milliseconds between two polls of all nodes for pending work, in a large and in a small cluster. 1,000 is Ray's own
value (ray_config_def.h). A cluster of 250 nodes at 250 ms causes as many polls as one of 1,000 nodes at 1,000 ms."""

RAYLET_CONNECT = {variables.RAYLET_CONNECT_TIMEOUT: "100", variables.RAYLET_CONNECT_ATTEMPTS: "100"}
"""Ray tries a local socket every 0.1 s for 10 s. Ray's own: every second, for as long (ray_config_def.h). Then a raylet
that starts before its object store, as about half of them do, sleeps a whole second (`ConnectSocketRetry` in
client_connection.cc)."""

ALLOCATE_SECONDS = 3_600
"""Minimum seconds that autoscaler v2 gives a worker from its launch to its joining. Ray 2.50 to 2.53 would terminate
slow machines after 300 s; RayDog has its own timeouts."""

RAY_INSTALL_SECONDS = 24 * 3600
"""Seconds that autoscaler v2 gives an updater: a day, so that RayDog's timeouts decide."""

NODE_START_WAIT_SECONDS = 900
"""Minimum seconds in which an updater must reach a node by SSH: Ray's own value (`NODE_START_WAIT_S`)."""

MIN_LIFETIME_HOURS = 0.01
"""Minimum `cluster_lifetime_hours`: 36 seconds. No machine boots in less."""

MIN_BUILD_MINUTES = 0.01
"""Minimum build timeout: RayDog polls about once a second."""

MAX_LIFETIME_HOURS = 87_600
"""Maximum `cluster_lifetime_hours`: ten years. Some thousand years later the deadline is no date any more."""

MAX_BUILD_MINUTES = 10_080
"""Maximum build timeout: a week. A machine that takes longer never comes."""

MIN_IDLE_MINUTES = 1
"""Minimum `idle_termination_minutes`. In less, no user can act on the warning in the log."""

MAX_IDLE_MINUTES = MAX_LIFETIME_HOURS * 60
"""Maximum `idle_termination_minutes`: the maximum lifetime, after which the cluster ends in any case."""

MAX_NUMBER = 1_000_000_000
"""Maximum of any number in Ray's own keys. Ray multiplies some by nodes or by 60,000, as 64-bit integers or floats."""

MAX_RESOURCE = 100_000_000_000_000
"""Maximum amount of one of Ray's resources (`MAX_RESOURCE_QUANTITY` in _private/ray_constants.py of Ray 2.60)."""

MIN_OBJECT_STORE_BYTES = 75 * 1024 * 1024
"""Minimum `object_store_memory` (`OBJECT_STORE_MINIMUM_MEMORY_BYTES` in _private/ray_constants.py of Ray 2.60)."""

LAST_LAUNCH = timedelta(minutes=2)
"""No worker is launched in the last minutes of a cluster's lifetime: it could do no more than boot."""

LAST_LAUNCH_SHARE = 0.1
"""Nor in the last tenth of a lifetime that is shorter than 20 minutes."""
