"""The `--json` shapes of the commands for clusters. docs/commands.md documents every field."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from raydog_cli.common import iso_time, seconds_between
from yellowdog_ray.cluster.published import HeadState
from yellowdog_ray.inventory.doctor import Line
from yellowdog_ray.inventory.events import Event, NodeLog
from yellowdog_ray.inventory.leftovers import Leftover, Leftovers, Removal
from yellowdog_ray.inventory.status import ClusterStatus, NodeStatus, PoolStatus, unknown_without_head
from yellowdog_ray.inventory.summaries import ClusterSummary, Summaries, state_of
from yellowdog_ray.inventory.why import Answer

Shape = dict[str, Any]


def of_summaries(summaries: Summaries, creators: dict[str, str]) -> Shape:
    """The shape of `raydog list`.

    Args:
        summaries: the clusters.
        creators: the names of creators by their ids.
    """
    return {
        "readAt": iso_time(summaries.read_at),
        "clusters": [of_cluster(cluster, summaries.read_at, creators) for cluster in summaries.clusters],
        "unreadable": list(summaries.unreadable),
        "unowned": list(summaries.unowned),
        "unreadIdleEnds": summaries.unread_idle_ends,
    }


def of_cluster(cluster: ClusterSummary, now: datetime, creators: dict[str, str]) -> Shape:
    """One cluster."""
    creator = cluster.creator
    return {
        "name": cluster.name,
        "namespace": cluster.namespace,
        "state": cluster.state.value,
        "created": iso_time(cluster.work.created),
        "ageSeconds": seconds_between(cluster.work.created, now),
        "lifetimeEnds": iso_time(cluster.deadline),
        "lifetimeLeftSeconds": seconds_between(now, cluster.deadline),
        "idleEnd": iso_time(cluster.idle_end),
        "idleEndLeftSeconds": seconds_between(now, cluster.idle_end),
        "createdBy": {"id": creator, "name": creators.get(creator)} if creator else None,
        "nodes": [
            {"type": counts.node_type, "pending": counts.pending, "running": counts.running, "ended": counts.ended}
            for counts in cluster.node_types
        ],
        "instances": dict(cluster.instances),
        "workRequirement": {"id": cluster.work.id, "name": cluster.work.name, "status": cluster.work.status},
        "cost": None,
    }


def of_status(status: ClusterStatus, creators: dict[str, str]) -> Shape:
    """The shape of `raydog status`."""
    return {
        "readAt": iso_time(status.read_at),
        "cluster": of_cluster(status.cluster, status.read_at, creators),
        "nodes": [_of_node(node, status.read_at) for node in status.nodes],
        "pools": [_of_pool(pool) for pool in status.pools],
        "copiedTasks": list(status.copies),
        "unlistedNodes": status.unlisted,
        "published": _of_head_state(status.head, status.read_at),
        "unknownWithoutHead": list(unknown_without_head(status)),
    }


def _of_node(node: NodeStatus, now: datetime) -> Shape:
    machine = node.machine
    return {
        "id": node.id,
        "type": node.node_type,
        "kind": "head" if node.is_head else "worker",
        "phase": node.phase,
        "reason": node.reason or None,
        "started": iso_time(node.started),
        "ageSeconds": seconds_between(node.started, now),
        "machineType": machine.instance_type if machine else None,
        "region": machine.region if machine else None,
        "spot": machine.spot if machine else None,
        "privateAddress": machine.private_ip if machine else None,
        "publicAddress": machine.public_ip if machine else None,
        "instance": machine.instance_id if machine else None,
        "platformNode": machine.id if machine else None,
        "cost": None,
    }


def of_answer(answer: Answer) -> Shape:
    """The shape of `raydog why`."""
    facts = answer.facts
    return {
        "readAt": iso_time(facts.now),
        "cluster": facts.name,
        "namespace": facts.namespace,
        "state": state_of(facts.work, facts.now).value,
        "published": _of_head_state(facts.state, facts.now),
        "findings": [
            {
                "code": finding.code,
                "concerns": finding.concerns,
                "isTrouble": finding.is_trouble,
                "cause": finding.cause,
                "evidence": list(finding.evidence),
                "remedy": finding.remedy,
            }
            for finding in answer.findings
        ],
        "notRead": list(answer.not_read),
    }


def _of_head_state(head: HeadState | None, now: datetime) -> Shape | None:
    """The published state of the head, without the decisions, which are events."""
    if head is None:
        return None
    shape = head.model_dump(mode="json", by_alias=True, exclude={"version", "decisions", "omitted"})
    return {**shape, "ageSeconds": seconds_between(head.at, now)}


def _of_pool(pool: PoolStatus) -> Shape:
    return {
        "name": pool.name,
        "type": pool.node_type,
        "status": pool.status,
        "instances": dict(pool.instances),
        "messages": list(pool.messages),
    }


def of_leftovers(leftovers: Leftovers, removals: Sequence[Removal]) -> Shape:
    """The shape of `raydog gc`.

    Args:
        leftovers: what was found.
        removals: what has become of those that were to be removed.
    """
    results = {removal.leftover.work.id: removal for removal in removals}
    return {
        "readAt": iso_time(leftovers.read_at),
        "leftovers": [{**_of_leftover(one), **_of_removal(results.get(one.work.id))} for one in leftovers.old],
        "young": [_of_leftover(one) for one in leftovers.young],
        "unproven": list(leftovers.unproven),
        "unread": list(leftovers.unread),
    }


def _of_removal(removal: Removal | None) -> Shape:
    return {
        "removed": removal is not None and removal.removed,
        "notShown": list(removal.unseen) if removal else [],
        "failure": removal.failure if removal else None,
    }


def _of_leftover(one: Leftover) -> Shape:
    return {
        "cluster": one.cluster,
        "workRequirement": {"id": one.work.id, "name": one.work.name, "status": one.work.status},
        "pools": [{"id": pool.id, "name": pool.name, "status": pool.status} for pool in one.pools],
        "computeRequirements": [
            {"id": compute.id, "name": compute.name, "status": compute.status, "instances": dict(compute.instances)}
            for compute in one.computes
        ],
        "youngest": iso_time(one.youngest),
        "reason": one.reason,
    }


def of_events(events: Sequence[Event], not_kept: Sequence[str]) -> Shape:
    """The shape of `raydog events`."""
    listed = [
        {"time": iso_time(event.time), "subject": event.subject, "node": event.node, "event": event.text}
        for event in events
    ]
    return {"events": listed, "notKept": list(not_kept)}


def of_logs(logs: Sequence[NodeLog]) -> Shape:
    """The shape of `raydog logs`."""
    return {"nodes": [_of_log(log) for log in logs]}


def _of_log(log: NodeLog) -> Shape:
    return {
        "id": log.node,
        "type": log.node_type or None,
        "task": log.task_id,
        "status": log.status,
        "started": iso_time(log.started),
        "ended": iso_time(log.ended),
        "errors": [{"time": iso_time(time), "error": text} for time, text in log.errors],
        "output": log.output if log.machine_alive else None,
    }


def of_checks(lines: Sequence[Line]) -> Shape:
    """The shape of `raydog doctor`."""
    checks = [
        {"section": section, "subject": check.subject, "state": check.state.value, "text": check.text}
        for section, check in lines
    ]
    return {"good": all(check["state"] != "failed" for check in checks), "checks": checks}
