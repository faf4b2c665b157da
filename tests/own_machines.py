"""Configured pools of simulated machines, as a user has them on their own premises."""

from __future__ import annotations

from typing import Any

from yellowdog_client.model import AddConfiguredWorkerPoolRequest, ConfiguredWorkerPoolProperties

from tests.simulation.lab import Lab
from yellowdog_local.hosts.simulated import SimulatedHosts
from yellowdog_local.state.records import PoolRecord
from yellowdog_local.testing import RunningPlatform


def configured_pool(
    local: Lab | RunningPlatform, machines: int = 2, *, name: str = "own", tag: str | None = "own", **fields: Any
) -> PoolRecord:
    """A configured pool that some machines have joined; `fields` are those of its registration."""
    properties = ConfiguredWorkerPoolProperties(workerTag=tag)
    request = AddConfiguredWorkerPoolRequest(name, "demo", properties=properties)
    with local.client() as client:
        made = client.worker_pool_client.add_configured_worker_pool(request)
    pool = local.platform.store.pool(str(made.workerPool.id))
    assert isinstance(local.hosts, SimulatedHosts)
    for number in range(machines):
        local.hosts.join(str(made.token.secret), f"{name}-{number}", **fields)
    local.advance()
    return pool


def machines_of(pool: PoolRecord) -> list[str]:
    """The living machines of a pool."""
    return sorted(node.instance.id for node in pool.nodes.values() if node.status.active and not node.draining)
