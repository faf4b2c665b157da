"""Why a cluster does not grow, or does not shrink: rules over what YellowDog shows. No I/O, no state.

Each rule yields findings of one kind; `inventory.limit_findings` has the rules about Ray's demand and limits.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from yellowdog_ray.cluster.shortage import shortage
from yellowdog_ray.config.limits import LAST_LAUNCH, LAST_LAUNCH_SHARE
from yellowdog_ray.errors import NoCapacity, QuotaExceeded, RayDogError
from yellowdog_ray.inventory.facts import Facts, PoolFacts
from yellowdog_ray.platform.convert import TASK_TYPE
from yellowdog_ray.platform.types import ComputeEntry, PlatformNodeView, TaskPhase, TaskView

BOOT = timedelta(minutes=3)
"""Age of a pool up to which machines that have not registered are taken for booting ones."""

MAX_NAMES = 5
"""Names that one line of evidence contains at most."""


@dataclass(frozen=True)
class Finding:
    """One reason.

    Attributes:
        code: a stable word for it.
        cause: what it is.
        evidence: the platform's words, numbers and times that show it.
        remedy: what to do.
        concerns: `growth` or `shrinking`.
        is_trouble: False for a state that passes by itself or is intended.
    """

    code: str
    cause: str
    evidence: tuple[str, ...]
    remedy: str
    concerns: str = "growth"
    is_trouble: bool = True


Rule = Callable[[Facts], Iterator[Finding]]


def remedy_of(code: str) -> str:
    """The documented remedy of a failure's code."""
    classes: list[type[RayDogError]] = [RayDogError, *_below(RayDogError)]
    texts = [inspect.getdoc(each) or "" for each in classes if each.code == code]
    text = texts[0].partition("Remedy:")[2] if texts else ""
    return " ".join(text.split()) or "read the reason"


def _below(kind: type[RayDogError]) -> list[type[RayDogError]]:
    return [each for child in kind.__subclasses__() for each in (child, *_below(child))]


def named(names: Sequence[str]) -> str:
    """Some names for a line of evidence."""
    more = len(names) - MAX_NAMES
    return ", ".join(names[:MAX_NAMES]) + (f" and {more} more" if more > 0 else "")


def amounts(resources: Mapping[str, float]) -> str:
    """Ray's resources for a line of evidence."""
    return "{" + ", ".join(f"{name}: {amount:g}" for name, amount in sorted(resources.items())) + "}"


def at(moment: datetime | None) -> str:
    """A time for a line of evidence."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else "an unknown time"


def work_findings(facts: Facts) -> Iterator[Finding]:
    """The work requirement: ended, ending, held, or at the end of its lifetime."""
    work = facts.work
    subject = f"work requirement {work.name}"
    shown = f"{subject} is {work.status} since {at(work.status_changed)}"
    if work.finished:
        yield Finding("ended", "the cluster has ended", (shown,), "run `ray up` to create it again")
    elif work.cancelling:
        yield Finding(
            "ending",
            "the cluster is being torn down",
            (shown,),
            f"wait; if it stays, run `raydog down {facts.name} -n {facts.namespace}`",
        )
    elif work.status == "HELD":
        yield Finding(
            "held",
            "somebody has held the work requirement, so that YellowDog starts none of its tasks",
            (shown,),
            "resume it in YellowDog's portal, or with `yd-resume`",
        )


def lifetime_findings(facts: Facts) -> Iterator[Finding]:
    """The cluster's lifetime."""
    timeout = facts.work.groups[0].task_timeout if facts.work.groups else None
    if timeout is None or facts.work.created is None or facts.work.finished:
        return
    ends = facts.work.created + timeout
    if ends - facts.now <= min(LAST_LAUNCH, timeout * LAST_LAUNCH_SHARE):
        yield Finding(
            "lifetime",
            "the cluster's lifetime is over, or is about to end",
            (f"it ends at {at(ends)}, and it is {at(facts.now)}",),
            "raise provider.cluster_lifetime_hours, and create the cluster again",
        )


def head_findings(facts: Facts) -> Iterator[Finding]:
    """The head: without it nothing decides."""
    head = facts.head
    if head is None or facts.work.finished or facts.work.cancelling:
        return
    if not head.tasks:
        yield from _head_ended(facts, head)
    elif not facts.is_head_up:
        evidence = tuple(f"node {task.name} is {task.status}" for task in head.tasks)
        yield Finding(
            "head-starts",
            "the head has not started yet, and nothing else can launch nodes",
            evidence,
            "wait for `ray up`, which shows what it waits for",
            is_trouble=False,
        )


def _head_ended(facts: Facts, head: PoolFacts) -> Iterator[Finding]:
    ended = [
        f"node {task.name}: {'; '.join((task.status, *task.errors))} at {at(task.ended)}" for task in head.head_tasks
    ]
    if not ended and facts.work.created and facts.now - facts.work.created < BOOT:
        yield Finding(
            "head-starts",
            "a `ray up` is creating the head",
            (f"the work requirement was created at {at(facts.work.created)}",),
            "wait for it",
            is_trouble=False,
        )
        return
    workers = len(facts.workers)
    counts = head.group.counts
    if not ended and counts is not None and not counts.live and not counts.ended:
        yield Finding(
            "head-missing",
            "the head was never launched, so nothing launches workers: a `ray up` has not completed the cluster",
            ("YellowDog counts no task of the head", f"the work requirement was created at {at(facts.work.created)}"),
            f"run `ray up` again, which completes it, or `raydog down {facts.name} -n {facts.namespace}`",
        )
        return
    yield Finding(
        "head-ended",
        "the head has ended, so nothing launches or terminates workers",
        (*(ended or ["YellowDog shows no task of the head"]), f"{workers} worker(s) are alive"),
        f"run `raydog down {facts.name} -n {facts.namespace}`, then `ray up`; `raydog logs` shows the head's errors",
    )


def source_findings(facts: Facts) -> Iterator[Finding]:
    """The sources of compute requirements: capacity, quota, allowances, and other errors in their own words."""
    for pool in facts.pools:
        if pool.compute is None:
            continue
        if pool.compute.exhausted:
            yield Finding(
                "allowance",
                f"an allowance of YellowDog is used up for node type {pool.node_type}",
                (f"worker pool {pool.name}: {'; '.join(pool.compute.exhausted)}",),
                "boost the allowance in YellowDog, or let it reset; or use a template with other sources",
            )
        if pool.compute.messages and pool.waiting:
            yield _of_messages(pool, pool.compute.messages)


def _of_messages(pool: PoolFacts, messages: Sequence[str]) -> Finding:
    kind = shortage(messages)
    evidence = (f"worker pool {pool.name}: {'; '.join(messages)}", f"{len(pool.waiting)} node(s) wait for a machine")
    if kind is NoCapacity:
        cause = f"the cloud has no capacity for node type {pool.node_type}"
        return Finding("no-capacity", cause, evidence, "wait, or add sources, regions or machine types to the template")
    if kind is QuotaExceeded:
        cause = f"a quota of the cloud account is reached for node type {pool.node_type}"
        return Finding("quota", cause, evidence, "raise the quota with the cloud provider, or lower max_workers")
    cause = f"the cloud refuses machines for node type {pool.node_type}"
    return Finding("source-error", cause, evidence, "correct what the message names in the template or its credentials")


def pool_findings(facts: Facts) -> Iterator[Finding]:
    """Worker pools that cannot serve nodes that wait."""
    for pool in facts.pools:
        if not pool.waiting or facts.work.status == "HELD":
            continue
        if pool.group.configured:
            yield from _configured(pool)
        elif pool.is_pool_read:
            yield from _without_compute(pool)
        elif pool.compute is not None:
            yield from _machines(pool, pool.compute, facts.now)


def _without_compute(pool: PoolFacts) -> Iterator[Finding]:
    waits = f"{len(pool.waiting)} node(s) wait for a machine"
    remedy = (
        "none, if the head runs: RayDog withdraws these nodes within a minute and provisions another pool. If it "
        "repeats, determine who ends pools: a person, a script, or YellowDog's timeouts"
    )
    if pool.pool is not None and pool.pool.finished:
        evidence = (f"worker pool {pool.name} is {pool.pool.status}", waits)
        yield Finding("pool-ended", f"the worker pool of node type {pool.node_type} has ended", evidence, remedy)
    elif pool.pool is None:
        evidence = (f"YellowDog shows no worker pool {pool.name}", waits)
        cause = f"node type {pool.node_type} has no worker pool, or it is not shown yet"
        yield Finding("pool-missing", cause, evidence, remedy, is_trouble=False)
    else:
        evidence = (f"worker pool {pool.name} is {pool.pool.status}, and YellowDog shows no machines of it", waits)
        cause = f"the worker pool of node type {pool.node_type} has no machines, or they are not shown yet"
        yield Finding(
            "pool-empty", cause, evidence, "wait; if it stays, look at the pool in the portal", is_trouble=False
        )


def _configured(pool: PoolFacts) -> Iterator[Finding]:
    tags = ", ".join(pool.group.placement.worker_tags)
    if pool.nodes is None:
        return
    alive = [node for node in pool.nodes if node.alive]
    evidence = (f"{len(alive)} machine(s) with worker tag {tags}", f"{len(pool.waiting)} node(s) wait for one")
    if not alive:
        cause = f"the configured worker pool of node type {pool.node_type} has no machine"
        yield Finding("configured-pool-empty", cause, evidence, "start machines of the pool, with YellowDog's agent")
    elif unsuited := _unsuited(alive):
        yield _task_type(pool, unsuited)
    else:
        cause = f"all machines of the configured worker pool of node type {pool.node_type} are busy"
        yield Finding(
            "configured-pool-busy", cause, evidence, "add machines to the pool, or lower the type's max_workers to them"
        )


def _machines(pool: PoolFacts, compute: ComputeEntry, now: datetime) -> Iterator[Finding]:
    if pool.most_nodes is not None and pool.instances < len(pool.tasks):
        yield Finding(
            "namespace-limit",
            "the namespace's policy limits to how many nodes its pools scale up",
            (
                f"autoscalingMaxNodes is {pool.most_nodes} for all pools of the namespace",
                f"worker pool {pool.name} has {pool.instances} machine(s) for {len(pool.tasks)} node(s)",
            ),
            "let an administrator raise autoscalingMaxNodes, or end other pools of the namespace",
        )
        return
    if pool.nodes is None:
        return
    alive = [node for node in pool.nodes if node.alive]
    if unsuited := _unsuited(alive):
        yield _task_type(pool, unsuited)
        return
    starting, running = compute.instances.get("PENDING", 0), compute.instances.get("RUNNING", 0)
    is_new = compute.created is None or now - compute.created < BOOT
    if starting:
        yield Finding(
            "machines-start",
            f"{starting} machine(s) of node type {pool.node_type} start",
            (f"worker pool {pool.name}: {starting} instance(s) PENDING, created {at(compute.created)}",),
            "wait" if is_new else "look at the instances in the cloud's console: the provider has not started them",
            is_trouble=not is_new,
        )
    if running > len(alive):
        yield Finding(
            "machines-do-not-register",
            f"{running - len(alive)} machine(s) of node type {pool.node_type} run and have not registered",
            (f"worker pool {pool.name}: {running} instance(s) RUNNING, {len(alive)} registered",),
            "wait for the boot"
            if is_new
            else "check that the image has YellowDog's agent, that userdata does not stop "
            "it, and that the machines reach YellowDog",
            is_trouble=not is_new,
        )


def _unsuited(nodes: Sequence[PlatformNodeView]) -> list[PlatformNodeView]:
    """The machines whose agents do not run tasks of RayDog's type; those that report no types are not judged."""
    return [node for node in nodes if node.task_types and TASK_TYPE not in node.task_types]


def _task_type(pool: PoolFacts, nodes: Sequence[PlatformNodeView]) -> Finding:
    types = sorted({kind for node in nodes for kind in node.task_types})
    return Finding(
        "task-type",
        f"the agents of node type {pool.node_type} do not run tasks of type '{TASK_TYPE}'",
        (f"{len(nodes)} machine(s), such as {nodes[0].instance_id}, support: {', '.join(types)}",),
        f"configure the task type '{TASK_TYPE}' in the agent of the image",
    )


def machine_findings(facts: Facts) -> Iterator[Finding]:
    """Machines whose agent is silent or gone while their nodes' tasks run."""
    for pool in facts.pools:
        if pool.nodes is None:
            continue
        known = {node.id: node for node in pool.nodes}
        silent = [
            (task, known.get(task.platform_node_id))
            for task in pool.tasks
            if task.platform_node_id and not task.abort_requested and _is_silent(task, known, facts.now)
        ]
        if not silent:
            continue
        evidence = tuple(_silence(task, node) for task, node in silent[:MAX_NAMES])
        subject = "the head's machine" if pool.is_head else f"{len(silent)} machine(s) of node type {pool.node_type}"
        yield Finding(
            "head-lost" if pool.is_head else "agents-lost",
            f"YellowDog has lost contact to {subject}",
            evidence,
            f"if it stays lost, run `raydog down {facts.name} -n {facts.namespace}` and `ray up`"
            if pool.is_head
            else "none: YellowDog ends their tasks, and Ray requests other nodes. If it repeats, check the "
            "machines' memory and network",
        )


def _is_silent(task: TaskView, known: Mapping[str, PlatformNodeView], now: datetime) -> bool:
    """Whether a node's machine is silent, lost, or not shown for so long that no lagging list explains it."""
    node = known.get(task.platform_node_id or "")
    if node is None:
        return task.started is not None and now - task.started > BOOT
    return node.status in ("LATE", "LOST")


def _silence(task: TaskView, node: PlatformNodeView | None) -> str:
    if node is None:
        return f"node {task.name} is {task.status}, and YellowDog does not show its machine"
    return f"node {task.name}: machine {node.instance_id} is {node.status} since {at(node.status_changed)}"


def ending_findings(facts: Facts) -> Iterator[Finding]:
    """Nodes whose end was requested, and whose tasks still run."""
    for pool in facts.pools:
        ending = [task for task in pool.tasks if task.abort_requested and task.phase is not TaskPhase.WAITING]
        if ending and not facts.work.cancelling:
            yield Finding(
                "nodes-end",
                f"the end of {len(ending)} node(s) of type {pool.node_type} was requested, and their tasks still run",
                (named([f"{task.name} ({task.status})" for task in ending]),),
                "wait: RayDog shuts the machine down after one minute and terminates it after two. If it stays, "
                f"terminate the instances of worker pool {pool.name} in YellowDog's portal",
                concerns="shrinking",
            )
