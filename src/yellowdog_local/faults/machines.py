"""Faulty hosts, agents and clouds: each class wraps one that a service uses, and applies the rules.

Calls to which no rule applies are passed on. The services do not depend on this module.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

from yellowdog_client.model import ComputeRequirementStatus

from yellowdog_local.agents import Agents
from yellowdog_local.compute import clouds
from yellowdog_local.compute.instances import StopsHosts
from yellowdog_local.events import Events
from yellowdog_local.faults.registry import Faults, Hit
from yellowdog_local.faults.rules import AbortLost, Capacity, Lost, NeverBoots, NeverRegisters, Rule, TaskExits
from yellowdog_local.hosts.base import HostBackend, HostListener, HostRequest
from yellowdog_local.messages import AgentEvent, Command, Registration
from yellowdog_local.pools.nodes import Nodes
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.records import InstanceRecord, NodeRecord, SourceRecord
from yellowdog_local.state.store import Store

_M = TypeVar("_M", NeverBoots, NeverRegisters, Lost)
_T = TypeVar("_T", TaskExits, AbortLost)


class Shortage(NamedTuple):
    """The remaining capacity of a cloud, and its error message."""

    room: int
    message: str


class FaultyHosts:
    """A host backend with hosts that never boot, or boot and never register."""

    def __init__(self, hosts: HostBackend, store: Store, faults: Faults) -> None:
        self.kind = hosts.kind
        self._hosts = hosts
        self._store = store
        self._faults = faults
        self._never_booted: dict[str, HostListener] = {}

    def create(self, request: HostRequest, listener: HostListener) -> None:
        """Boot a host, unless a rule applies."""
        instance = self._store.instances.get(request.instance_id)
        if instance is not None and self._applies(NeverBoots, instance):
            self._never_booted[request.instance_id] = listener
            return
        if instance is not None and self._applies(NeverRegisters, instance):
            # The platform refuses the agent: it has issued no such token.
            request = replace(request, agent_token=secrets.token_hex(16))
        self._hosts.create(request, listener)

    def destroy(self, instance_id: str) -> None:
        """Terminate a host; one that never booted is gone at once."""
        listener = self._never_booted.pop(instance_id, None)
        if listener is None:
            self._hosts.destroy(instance_id)
        else:
            listener.host_gone(instance_id, "")

    def close(self) -> None:
        """Terminate all hosts."""
        self._hosts.close()

    def _applies(self, kind: type[_M], instance: InstanceRecord) -> bool:
        return _hit_of_machine(self._faults, kind, instance) is not None


class FaultyStoppableHosts(FaultyHosts):
    """A faulty backend whose hosts can be stopped and started."""

    def __init__(self, hosts: HostBackend, store: Store, faults: Faults, stop: Callable[[str], None]) -> None:
        super().__init__(hosts, store, faults)
        self.stop = stop


def faulty_hosts(hosts: HostBackend, store: Store, faults: Faults) -> FaultyHosts:
    """A faulty backend with the abilities of the given one."""
    if isinstance(hosts, StopsHosts):
        return FaultyStoppableHosts(hosts, store, faults, hosts.stop)
    return FaultyHosts(hosts, store, faults)


class FaultyClouds:
    """The capacity of the clouds of compute sources."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def shortage(self, requirement_name: str, source: SourceRecord, asked: int) -> Shortage | None:
        """The remaining capacity of a source, if it is less than requested; None otherwise."""
        entity = source.entity
        name = entity.name or ""

        def falls_short(rule: Capacity) -> bool:
            return rule.matches_machine(requirement_name, name) and self._room(name, rule.limit) < asked

        hit = self._faults.apply(Capacity, falls_short)
        if hit is None:
            return None
        room = self._room(name, hit.rule.limit)
        region, instance_type = entity.region or "unknown", clouds.instance_type(entity) or "machine"
        message = hit.rule.message.format(instance_type=instance_type, region=region, granted=room, asked=asked)
        return Shortage(room, message)

    def _room(self, name: str, limit: int) -> int:
        requirements = self._store.requirements.values()
        unfinished = (r for r in requirements if r.status is not ComputeRequirementStatus.TERMINATED)
        alive = sum(source.alive for r in unfinished for source in r.sources if source.entity.name == name)
        return max(0, limit - alive)


class FaultyCommands:
    """Sends commands to agents; some tasks end without running, and some aborts are lost."""

    def __init__(self, kernel: Kernel, store: Store, agents: Agents, events: Events, faults: Faults) -> None:
        self._kernel = kernel
        self._store = store
        self._agents = agents
        self._events = events
        self._faults = faults

    def send(self, node_id: str, command: Command) -> None:
        """Send a command, unless a rule applies."""
        if command["type"] == "RUN_TASK":
            run = command["task"]
            hit = self._hit(TaskExits, node_id, run["taskId"])
            if hit is not None:
                code = hit.rule.exit_code
                # Later: the sender has not yet noted that the task was sent.
                self._kernel.defer(lambda: self._exit(node_id, run["taskId"], run["attempt"], code))
                return
        elif command["type"] == "ABORT_TASK" and self._hit(AbortLost, node_id, command["taskId"]) is not None:
            return
        self._agents.send(node_id, command)

    def _exit(self, node_id: str, task_id: str, attempt: int, code: int) -> None:
        with self._kernel.locked():
            self._events.agent_reported(node_id, AgentEvent(taskId=task_id, attempt=attempt, type="STARTED"))
            finished = AgentEvent(taskId=task_id, attempt=attempt, type="FINISHED", exitCode=code)
            self._events.agent_reported(node_id, finished)

    def _hit(self, kind: type[_T], node_id: str, task_id: str) -> Hit[_T] | None:
        node, task = self._store.nodes.get(node_id), self._store.tasks.get(task_id)
        if node is None or task is None:
            return None
        name = task.entity.name or ""
        pool, source = _names(node.instance)
        return self._faults.apply(kind, lambda rule: rule.matches_task(pool, source, name))


class FaultyNodes:
    """Registers agents; some of their instances are lost."""

    def __init__(self, kernel: Kernel, store: Store, nodes: Nodes, hosts: FaultyHosts, faults: Faults) -> None:
        self._kernel = kernel
        self._store = store
        self._nodes = nodes
        self._hosts = hosts
        self._faults = faults

    def agent_registered(self, instance: InstanceRecord, registration: Registration) -> str:
        """Register an agent; schedule the loss of the new platform node if a rule applies."""
        known = instance.node
        node_id = self._nodes.agent_registered(instance, registration)
        if instance.node is not None and instance.node is not known:
            self._schedule_loss(instance.node)
        return node_id

    def rule_added(self, rule_id: str, rule: Rule) -> None:
        """Schedule the loss of running platform nodes, the oldest first."""
        if isinstance(rule, Lost):
            with self._kernel.locked():
                for node in tuple(self._store.nodes.values()):
                    if node.status.active:
                        self._schedule_loss(node, only=rule_id)

    def _schedule_loss(self, node: NodeRecord, only: str | None = None) -> None:
        hit = _hit_of_machine(self._faults, Lost, node.instance, only=only)
        if hit is not None:
            rule_id, rule = hit.id, hit.rule
            self._kernel.after(rule.after_seconds, lambda: self._lose(node, rule_id, rule))

    def _lose(self, node: NodeRecord, rule_id: str, rule: Lost) -> None:
        # Removing the rule in time saves the platform node; an announced loss takes place.
        if not self._faults.is_active(rule_id) or not node.status.active:
            return
        if not rule.notice:
            self._terminate_instance(node)
            return
        self._nodes.warn(node)
        seconds = rule.notice_seconds
        if seconds is None:
            seconds = self._kernel.settings.preemption_notice_seconds
        self._kernel.after(seconds, lambda: self._terminate_instance(node))

    def _terminate_instance(self, node: NodeRecord) -> None:
        if node.status.active:
            self._kernel.defer(lambda: self._hosts.destroy(node.instance.id))


def _hit_of_machine(
    faults: Faults, kind: type[_M], instance: InstanceRecord, only: str | None = None
) -> Hit[_M] | None:
    pool, source = _names(instance)
    return faults.apply(kind, lambda rule: rule.matches_machine(pool, source), only=only)


def _names(instance: InstanceRecord) -> tuple[str, str]:
    # A pool has the name of its requirement, and at boot there may be no pool yet.
    return instance.requirement.name, instance.source.entity.name or ""
