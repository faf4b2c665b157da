"""The operations of the property test: arguments, settings, templates, and what it does to machines."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from yellowdog_client.model import AutoShutdown, SimulatorComputeSource, Task

from tests.simulation.lab import Lab, after
from yellowdog_local.state.records import NodeRecord

FLAGS = (
    "lost_node_terminates_instance",
    "cancel_waiting_tasks_at_pool_shutdown",
    "tasks_after_preemption_warning",
    "autoscale_counts_booting_nodes",
    "autoscale_shares_demand",
    "group_failure_aborts_executing_tasks",
    "hold_returns_allocated_tasks",
    "replace_shut_down_nodes",
    "timeout_kills_at_once",
    "zero_idle_timeout_spares_unused",
)
WHICH = st.integers(0, 11)  # index of a thing, modulo their number
IDLE = st.sampled_from([None, 0.0, 1.0, 5.0])
LIMIT = st.sampled_from([None, None, 1, 2])
TASK = st.fixed_dictionaries(
    {
        "seconds": st.sampled_from([None, 0, 1, 4, 30]),
        "exit_code": st.sampled_from([0, 0, 3]),
        "abort_seconds": st.sampled_from([0, 0, 5]),
        "timeout": st.sampled_from([None, None, 2, 6]),
    }
)
GROUP = st.fixed_dictionaries(
    {
        "keep": st.booleans(),
        "fail_fast": st.booleans(),
        "retries": st.sampled_from([None, 0, 1, 2]),
        "task_timeout": st.sampled_from([None, None, 3]),
        "workers": st.tuples(LIMIT, LIMIT, LIMIT),
        "ttl": st.sampled_from([None, None, 3]),
        "follows": st.sampled_from([False, False, True]),
        "resubmits": st.sampled_from([False, False, True]),
    }
)


def templates(lab: Lab) -> tuple[str, ...]:
    """Templates for each behaviour of instances: slow, slow to end, terminating unexpectedly, scarce, refused."""
    slow = SimulatorComputeSource(
        name="slow",
        instanceStartupTimeSeconds=3,
        instanceStartupTimeVariance=0.5,
        instanceShutdownTimeSeconds=4,
        limit=8,
    )
    dying = SimulatorComputeSource(name="dying", unexpectedInstanceTerminationProbability=0.5, limit=8)
    scarce, first, second = (SimulatorComputeSource(name=name, limit=2) for name in ("scarce", "first", "second"))
    refused = SimulatorComputeSource(name="refused", failOnProvision=True)
    return (
        "demo/local",
        lab.template(slow, name="slow"),
        lab.template(dying, name="dying"),
        lab.template(scarce, name="scarce"),
        lab.template(first, second, strategy="Waterfall", name="both"),
        lab.template(refused, name="refused"),
    )


def active_nodes(lab: Lab) -> list[NodeRecord]:
    return [node for node in lab.platform.store.nodes.values() if node.status.active]


# An operation on machines: the things to choose from, and the call.
Operation = tuple[Callable[[Lab], Iterable[Any]], Callable[..., object]]
ENDINGS: dict[str, Operation] = {
    "shut down a node": (
        lambda lab: lab.platform.store.nodes.values(),
        lambda lab, node: lab.platform.nodes.shut_down(node),
    ),
    "shut down a pool": (
        lambda lab: lab.platform.store.pools.values(),
        lambda lab, pool: lab.platform.pools.shut_down(pool),
    ),
    "terminate a requirement": (
        lambda lab: lab.platform.store.requirements.values(),
        lambda lab, requirement: lab.platform.compute.terminate(requirement),
    ),
    "terminate an instance": (
        lambda lab: lab.platform.store.instances.values(),
        lambda lab, instance: lab.platform.instances.terminate(instance, "its user terminated it"),
    ),
    "deprovision an instance": (
        lambda lab: lab.platform.store.instances.values(),
        lambda lab, instance: lab.platform.compute.deprovision(instance.requirement, [instance]),
    ),
    "lose a host": (lambda lab: lab.hosts.instance_ids, lambda lab, host: lab.hosts.lose(host)),
    "unplug a host": (lambda lab: lab.hosts.instance_ids, lambda lab, host: lab.hosts.unplug(host)),
}
CHANGES: dict[str, Operation] = {
    "change the workers of a node": (
        active_nodes,
        lambda lab, node, number: lab.platform.nodes.set_workers(node, number),
    ),
    "warn a node": (active_nodes, lambda lab, node, _number: lab.platform.nodes.warn(node)),
    "resize a pool": (
        lambda lab: lab.platform.store.pools.values(),
        lambda lab, pool, number: lab.platform.pools.resize(pool, number),
    ),
    "stop a requirement": (
        lambda lab: lab.platform.store.requirements.values(),
        lambda lab, requirement, _number: lab.platform.compute.stop(requirement),
    ),
    "start a requirement": (
        lambda lab: lab.platform.store.requirements.values(),
        lambda lab, requirement, _number: lab.platform.compute.start(requirement),
    ),
}


def span(seconds: float | None) -> timedelta | None:
    """A duration of so many seconds."""
    return None if seconds is None else timedelta(seconds=seconds)


def idle_shutdown(seconds: float | None) -> AutoShutdown | None:
    """A shutdown after so many seconds."""
    return None if seconds is None else after(seconds)


def new_task(drawn: dict[str, Any], name: str) -> Task:
    """A task of simulated hosts."""
    environment = {"SIM_ABORT_SECONDS": str(drawn["abort_seconds"]), "SIM_TASK_EXIT_CODE": str(drawn["exit_code"])}
    if drawn["seconds"] is not None:
        environment["SIM_TASK_SECONDS"] = str(drawn["seconds"])
    return Task(name=name, taskType="bash", environment=environment, timeout=span(drawn["timeout"]))
