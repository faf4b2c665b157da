"""Why a cluster does not grow or shrink, by what its head has published: demand, limits, back-offs. Makes no call."""

from __future__ import annotations

from collections.abc import Iterator

from yellowdog_ray.cluster.published import BackOffState, HeadState, NodeTypeState, Shape
from yellowdog_ray.errors import EndedAfterJoin, EndedBeforeJoin, NeverJoined, NotFound, Refused, Throttled
from yellowdog_ray.inventory.facts import Facts
from yellowdog_ray.inventory.findings import Finding, amounts, at, named, remedy_of
from yellowdog_ray.inventory.fitting import fits, left_over
from yellowdog_ray.inventory.status import NODE_TYPE_TAG

MANY_RESTARTS = 3
"""Restarts of head processes in one publication that are worth a finding."""

_ADVICE = {
    NotFound.code: "correct compute_requirement_template (or images_id, worker_pool) of the type, then run `ray up`",
    Refused.code: "correct what the message names, then run `ray up`",
    Throttled.code: "none: YellowDog limits the rate of requests, and RayDog tries again by itself",
    EndedBeforeJoin.code: "read `raydog logs`, correct ray_worker_node_task_script or the image, then run `ray up`",
    EndedAfterJoin.code: "read `raydog logs`: the script, Ray or the machine ends just after the start",
    NeverJoined.code: "read the task's output on the machine: Ray starts there and does not reach the head "
    "(ports, ray_worker_node_task_script, another Ray version)",
}


def back_off_findings(facts: Facts) -> Iterator[Finding]:
    """Node types in back-off."""
    state = current_state(facts)
    if state is None:
        return
    for each in state.back_offs:
        if each.until <= facts.now and not is_wanted(facts, state, each.node_type):
            continue
        yield Finding(
            f"backed-off-{each.code}",
            f"node type {each.node_type} backs off after failed launches ({each.code})",
            (each.reason, _tries(each, facts)),
            _ADVICE.get(each.code) or remedy_of(each.code),
        )


def is_wanted(facts: Facts, state: HeadState, node_type: str) -> bool:
    """Whether Ray may need workers of a type: something waits (or it is unknown), or min_workers is not met."""
    return state.demand != [] or _lacks_minimum(facts, state, node_type)


def _lacks_minimum(facts: Facts, state: HeadState, node_type: str) -> bool:
    kind = state.node_types.get(node_type)
    return kind is not None and facts.workers_of(node_type) < kind.min_workers


def _tries(each: BackOffState, facts: Facts) -> str:
    after = f"after {each.failures} failed launch{'es' * (each.failures != 1)}"
    if each.until <= facts.now:
        return f"{after} it may be tried again since {at(each.until)}"
    return f"{after} the next try is at {at(each.until)}"


def demand_findings(facts: Facts) -> Iterator[Finding]:
    """The demand that waits in Ray, and the limits that hold it back."""
    state = current_state(facts)
    if state is None:
        return
    short = [name for name in state.node_types if _lacks_minimum(facts, state, name)]
    if short:
        counts = [f"{name}: {facts.workers_of(name)} of {state.node_types[name].min_workers}" for name in short]
        yield Finding(
            "min-workers-missing",
            f"node type{'s' * (len(short) != 1)} {named(short)} lack workers of min_workers",
            (named(counts), f"published by the head at {at(state.at)}"),
            "none: the autoscaler launches them within seconds. If it stays, read `ray monitor YAML`",
            is_trouble=False,
        )
    if state.demand == [] and not short:
        yield Finding(
            "no-demand",
            "nothing waits in Ray for resources",
            (f"published by the head at {at(state.at)}",),
            "none: submit work; in a script, check that tasks or actors request the resources of a node type",
            is_trouble=False,
        )
    waiting = left_over(facts, state)
    if state.demand and not waiting:
        yield Finding(
            "workers-start",
            "workers start that can hold all that waits in Ray",
            (f"{len(facts.workers)} workers were launched; published by the head at {at(state.at)}",),
            "none: wait until Ray has joined on them",
            is_trouble=False,
        )
    judged = [(shape, _of_shape(facts, state, shape)) for shape in waiting]
    yield from (finding for _, finding in judged if finding is not None)
    held_back = [shape for shape, finding in judged if finding is None]
    if held_back:
        yield from _cluster_limit(facts, state, held_back)


def _of_shape(facts: Facts, state: HeadState, shape: Shape) -> Finding | None:
    """The reason why one shape gets no node, whatever the cluster's own limit is."""
    types = state.node_types
    if not types or any(not kind.resources for kind in types.values() if kind.max_workers != 0):
        return None
    fitting = {name: kind for name, kind in types.items() if fits(shape, kind) and kind.max_workers != 0}
    others = [name for name, kind in types.items() if kind.max_workers == 0 and kind.alive and fits(shape, kind)]
    if not fitting and others:
        return Finding(
            "no-more-nodes",
            f"only nodes of type {named(others)}, whose max_workers is 0, can hold {_text(shape)}",
            (f"{shape.count} request(s) wait for them",),
            "wait until they are free, or add a node type with these resources to the YAML and run `ray up`",
            is_trouble=False,
        )
    if not fitting:
        sizes = [f"{name} {_text(kind)}" for name, kind in types.items() if kind.max_workers != 0]
        return Finding(
            "infeasible",
            f"no node type can hold {_text(shape)}",
            (f"{shape.count} request(s) wait", f"node types: {named(sizes)}"),
            "request less, or add a node type with these resources and labels to the YAML and run `ray up`",
        )
    full = {name: kind for name, kind in fitting.items() if _is_full(facts, name, kind)}
    if len(full) < len(fitting):
        return None
    limits = [f"{name}: {facts.workers_of(name)} of {kind.max_workers}" for name, kind in full.items()]
    return Finding(
        "type-limit",
        f"every node type that can hold {_text(shape)} has its max_workers",
        (f"{shape.count} request(s) wait", named(limits)),
        "raise max_workers of the node type in the YAML, then run `ray up`",
    )


def _cluster_limit(facts: Facts, state: HeadState, shapes: list[Shape]) -> Iterator[Finding]:
    waits = f"waiting in Ray: {named([f'{shape.count} x {_text(shape)}' for shape in shapes])}"
    workers = len(facts.workers)
    if state.max_workers is not None and workers >= state.max_workers:
        yield Finding(
            "max-workers",
            "the cluster has its max_workers",
            (f"{workers} workers of {state.max_workers}", waits),
            "raise the top-level max_workers in the YAML, then run `ray up`",
        )
    elif not any(task for task in facts.workers if not task.executing) and not state.back_offs:
        yield Finding(
            "demand-is-new",
            "demand waits, and no limit that the head has published holds it back",
            (waits, f"published by the head at {at(state.at)}"),
            "none: the autoscaler launches within seconds. If it stays, read `ray monitor YAML`",
            is_trouble=False,
        )


def _is_full(facts: Facts, name: str, kind: NodeTypeState) -> bool:
    return kind.max_workers is not None and facts.workers_of(name) >= kind.max_workers


def _text(part: Shape | NodeTypeState) -> str:
    labels = f" with labels {part.labels}" if part.labels else ""
    return f"{amounts(part.resources)}{labels}"


def joining_findings(facts: Facts) -> Iterator[Finding]:
    """Nodes whose task runs without Ray, and processes of the head that restart."""
    state = current_state(facts)
    if state is None:
        return
    for name, kind in state.node_types.items():
        before = [task for task in facts.workers if task.executing and task.started and task.started < state.at]
        running = sum(task.tags.get(NODE_TYPE_TAG) == name for task in before)
        if kind.alive is not None and running > kind.alive and kind.max_workers != 0:
            yield Finding(
                "ray-not-joined",
                f"Ray has not joined on {running - kind.alive} node(s) of type {name}",
                (f"{running} task(s) ran and {kind.alive} Ray node(s) were alive at {at(state.at)}",),
                "wait for the start of Ray; if it stays, read the task's output on the machine and `ray monitor YAML`",
                is_trouble=False,
            )
    restarts = [each for each in state.decisions if each.act == "restarted"]
    if len(restarts) >= MANY_RESTARTS:
        yield Finding(
            "head-restarts",
            "processes of the head end again and again",
            tuple(f"{at(each.time)}: {each.text}" for each in restarts[-MANY_RESTARTS:]),
            "use a larger machine type for the head if memory is short; read `ray monitor YAML`",
        )


def shrink_findings(facts: Facts) -> Iterator[Finding]:
    """Why idle workers stay."""
    state = current_state(facts)
    if state is None:
        return
    if state.requested:
        shapes = [f"{shape.count} x {_text(shape)}" for shape in state.requested]
        yield Finding(
            "requested",
            "request_resources() keeps nodes",
            (named(shapes),),
            "call ray.autoscaler.sdk.request_resources(num_cpus=0, bundles=[]) in a driver",
            "shrinking",
            is_trouble=False,
        )
    for name, kind in state.node_types.items():
        if kind.alive:
            yield from _why_alive(state, name, kind)


def _why_alive(state: HeadState, name: str, kind: NodeTypeState) -> Iterator[Finding]:
    seen = f"{kind.alive} alive, {kind.idle or 0} idle, published by the head at {at(state.at)}"
    limit = state.idle_timeout_minutes
    if kind.max_workers == 0:
        return
    if kind.min_workers and (kind.alive or 0) <= kind.min_workers:
        yield Finding(
            "min-workers",
            f"node type {name} keeps its min_workers",
            (seen, f"min_workers is {kind.min_workers}"),
            "lower min_workers of the type, then run `ray up`",
            "shrinking",
            is_trouble=False,
        )
    elif not kind.idle:
        yield Finding(
            "busy",
            f"no node of type {name} is idle",
            (seen,),
            "end the tasks, actors or placement groups on them: `ray exec YAML 'ray status -v'` shows them",
            "shrinking",
            is_trouble=False,
        )
    elif limit is not None and (kind.longest_idle_seconds or 0) < limit * 60:
        yield Finding(
            "idle-timeout",
            f"idle nodes of type {name} stay until idle_timeout_minutes",
            (seen, f"the longest is idle for {kind.longest_idle_seconds or 0:.0f} s of {limit * 60:.0f} s"),
            "wait, or lower idle_timeout_minutes, then run `ray up`",
            "shrinking",
            is_trouble=False,
        )


def notice_findings(facts: Facts) -> Iterator[Finding]:
    """The announcements of the head, such as the end of an idle cluster."""
    state = current_state(facts)
    for notice in state.notices if state else ():
        yield Finding(
            f"announced-{notice.kind}",
            "the head has announced something",
            (notice.text,),
            "none, if that is intended",
            "shrinking",
            is_trouble=False,
        )


def current_state(facts: Facts) -> HeadState | None:
    """The published state, if the head that has published it still decides, and the state is new enough to hold."""
    holds = facts.is_head_up and not facts.work.cancelling and facts.doubt is None
    return facts.state if holds else None
