"""The platform's state for `raydog local status` and `top`. Changes nothing."""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import Any

from yellowdog_client.model import TaskStatus

from yellowdog_local.platform import LocalPlatform
from yellowdog_local.state.records import GroupRecord, InstanceRecord, NodeRecord, PoolRecord

SHOWN = 200  # of each kind: more than a screen shows


def overview(platform: LocalPlatform) -> dict[str, Any]:
    """Hosts, pools, platform nodes and tasks; of finished ones only their number."""
    with platform.locked():
        store = platform.store
        alive = [i for r in store.requirements.values() for i in r.live.values() if i.status.alive]
        groups = [group for group in store.groups.values() if group.counts]
        running = (task for group in groups for task in group.having(TaskStatus.EXECUTING))
        active = [node for pool in store.open_pools.values() for node in pool.nodes.values() if node.status.active]
        tasks: Counter[str] = Counter()
        for group in groups:
            tasks.update({status.value: count for status, count in group.counts.items() if count})
        return {
            "time": platform.clock.now().isoformat(),
            "hosts": [_host(instance) for instance in alive],
            "pools": [_pool(pool) for pool in store.open_pools.values() if not pool.status.finished],
            "nodes": dict(sorted(Counter(node.status.value for node in store.nodes.values()).items())),
            "tasks": dict(sorted(tasks.items())),
            "running": [
                {"id": task.id, "name": task.entity.name, "host": task.worker.node.instance.id if task.worker else None}
                for task in islice(running, SHOWN)
            ],
            "live_nodes": [_node(node) for node in active[:SHOWN]],
            "groups": [_group(group) for group in groups if not group.status.terminated][:SHOWN],
            "calls": platform.calls.mark(),
            "faults": sum(not one.spent for one in platform.faults.rules()),
        }


def _host(instance: InstanceRecord) -> dict[str, Any]:
    address = instance.entity.privateIpAddress
    return {"instance": instance.id, "status": instance.status.value, "address": address}


def _pool(pool: PoolRecord) -> dict[str, Any]:
    errors = [s.entity.statusMessage for s in pool.requirement.sources if s.entity.statusMessage]
    return {
        "name": pool.name,
        "status": pool.status.value,
        "nodes": pool.active_nodes,
        "target": pool.target,
        "awaited": pool.pending_nodes,
        "workers": sum(count for status, count in pool.worker_counts.items() if status.available),
        "working": pool.claimed,
        "error": errors[0] if errors else None,
    }


def _node(node: NodeRecord) -> dict[str, Any]:
    return {
        "id": node.id,
        "pool": node.pool.name,
        "host": node.instance.id,
        "status": node.status.value,
        "draining": node.draining,
        "warned": node.entity.preemptionWarningTime is not None,
        "tasks": [task.entity.name or task.id for task in node.tasks],
    }


def _group(group: GroupRecord) -> dict[str, Any]:
    return {
        "work": group.work.entity.name,
        "group": group.entity.name,
        "status": group.status.value,
        "tasks": {status.value: count for status, count in group.counts.items() if count},
    }
