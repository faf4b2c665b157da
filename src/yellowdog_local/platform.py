"""The local platform as one object: its services, wired together under one lock. Knows nothing of HTTP."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from yellowdog_client.model import ApplicationDetails, Feature

from yellowdog_local.account.account import Account
from yellowdog_local.account.allowances import Allowances
from yellowdog_local.account.keyrings import Keyrings
from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.account.policies import Policies
from yellowdog_local.agents import Agents, InProcessAgents
from yellowdog_local.compute.attributes import Attributes
from yellowdog_local.compute.cloud_info import CloudInfo
from yellowdog_local.compute.images import Images
from yellowdog_local.compute.instances import Instances
from yellowdog_local.compute.requirements import Compute
from yellowdog_local.compute.templates import Templates
from yellowdog_local.faults import Faults
from yellowdog_local.faults.lists import LaggingLists
from yellowdog_local.faults.machines import FaultyClouds, FaultyCommands, FaultyNodes, faulty_hosts
from yellowdog_local.hosts.base import SIMULATED, HostBackend
from yellowdog_local.pools.configured import ConfiguredPools
from yellowdog_local.pools.node_actions import NodeActions
from yellowdog_local.pools.nodes import Nodes
from yellowdog_local.pools.provisioned import Pools
from yellowdog_local.recording import Calls
from yellowdog_local.scheduler import Scheduler
from yellowdog_local.seed import seed
from yellowdog_local.state.clock import AcceleratedClock, Clock, RealClock
from yellowdog_local.state.ids import Ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.records import InstanceRecord
from yellowdog_local.state.settings import Settings
from yellowdog_local.state.slots import Slots
from yellowdog_local.state.store import Store
from yellowdog_local.work.requirements import Work
from yellowdog_local.work.tasks import Tasks

_RESET_SECONDS = 60.0
_RESET_STEP_SECONDS = 0.02


@runtime_checkable
class RunsAgentsInProcess(Protocol):
    """A host backend whose agents live in this process and call the platform directly."""

    def use_agents(self, agents: InProcessAgents) -> None:
        """Take the way to the platform."""


class LocalPlatform:
    """A whole YellowDog platform in one object.

    Services may be used directly, under `locked()`; that is what the HTTP routes do. `close()` ends all hosts.

    Args:
        settings: how it behaves where the real platform's behaviour is not known.
        clock: where it takes its time from; `close()` closes it as well.
        hosts: what its instances are; `close()` closes it as well.
        api_key: id and secret that callers must show; made up if omitted.

    Raises:
        ValueError: the clock is accelerated and the hosts are real.
    """

    def __init__(
        self,
        *,
        hosts: HostBackend,
        settings: Settings | None = None,
        clock: Clock | None = None,
        api_key: tuple[str, str] | None = None,
    ) -> None:
        if isinstance(clock, AcceleratedClock) and hosts.kind != SIMULATED:
            raise ValueError(f"an accelerated clock needs simulated hosts: {hosts.kind} hosts run in real time")
        self.settings = settings or Settings()
        self.clock = clock or RealClock()
        self.hosts = hosts
        self.api_key = api_key or (secrets.token_hex(8), secrets.token_urlsafe(24))
        self.faults = Faults()
        self.calls = Calls(self.clock, self.settings.recorded_calls)
        self._kernel = Kernel(self.clock, self.settings)
        self._ids = Ids(self.settings.random_seed, self.settings.instance_id_prefix)
        self.lists = LaggingLists(self._kernel, self.faults)
        self.application = _application(self.settings, self._ids)
        self.account = Account(self._ids, self.application)
        self.faults.listeners.added.append(lambda rule_id, rule: self._faulty_nodes.rule_added(rule_id, rule))
        self._wire()

    def _wire(self) -> None:
        kernel, ids = self._kernel, self._ids
        self.store = Store()
        hosts = faulty_hosts(self.hosts, self.store, self.faults)
        self.namespaces = Namespaces(kernel, self.store, ids)
        self.templates = Templates(kernel, self.store, ids, self.namespaces)
        self.agents = Agents(kernel, self.store)
        self.instances = Instances(kernel, self.store, ids, hosts)
        self.compute = Compute(kernel, self.store, ids, self.namespaces, self.templates, self.instances)
        slots = Slots(kernel)
        commands = FaultyCommands(kernel, self.store, self.agents, self.faults)
        tasks = Tasks(kernel, self.store, self.namespaces, commands, slots)
        self.tasks = tasks
        self.nodes = Nodes(kernel, self.store, ids, self.agents, slots, tasks, self.compute)
        self.work = Work(kernel, self.store, ids, self.namespaces, tasks)
        self.pools = Pools(kernel, self.store, ids, slots, self.nodes, self.compute)
        self.configured = ConfiguredPools(kernel, self.store, ids, self.namespaces, self.pools)
        self.node_actions = NodeActions(kernel, self.store, self.nodes, commands)
        self.policies = Policies(kernel, self.store)
        self.attributes = Attributes(self.store)
        self.images = Images(kernel, self.store, ids, self.namespaces)
        self.keyrings = Keyrings(kernel, self.store, ids, self.namespaces)
        self.allowances = Allowances(kernel, self.store, ids)
        self.cloud_info = CloudInfo()
        self.scheduler = Scheduler(kernel, self.store, slots, tasks, self.work, self.pools, self.policies)
        self._faulty_nodes = FaultyNodes(kernel, self.store, self.nodes, hosts, self.faults)
        self.agents.hooks = self._faulty_nodes
        self.compute.shortage = FaultyClouds(self.store, self.faults).shortage
        self.agents.on_action_end = self.node_actions.ended
        self.agents.joining = self.configured.joining
        self.instances.on_ending = self.nodes.instance_ending
        self.compute.on_change = self.nodes.requirement_changed
        self.compute.on_pool_target = self.pools.set_target
        self.pools.on_shut_down = self.scheduler.pool_shut_down
        kernel.on_pass = self.scheduler.run_pass
        if isinstance(self.hosts, RunsAgentsInProcess):
            self.hosts.use_agents(InProcessAgents(kernel, self.agents))
        with self.locked():
            seed(self.namespaces, self.templates)

    def locked(self) -> AbstractContextManager[None]:
        """Hold the platform's lock."""
        return self._kernel.locked()

    def watching(self, wake: Callable[[], None]) -> AbstractContextManager[None]:
        """Have `wake` called, under the lock, after every change."""
        return self._kernel.watching(wake)

    def wake_watchers(self) -> None:
        """Call every watcher as if something had changed."""
        self._kernel.wake_watchers()

    def reset(self) -> None:
        """End all hosts and forget everything, faults and recorded calls included; only the key and the clock stay.

        Raises:
            TimeoutError: a host does not end.
        """
        deadline = time.monotonic() + _RESET_SECONDS
        self.faults.clear()
        while not self._forget_if_empty():
            if time.monotonic() > deadline:
                raise TimeoutError(f"hosts still run {_RESET_SECONDS:.0f} s after they were ended")
            time.sleep(_RESET_STEP_SECONDS)
        self.calls.clear()

    def _forget_if_empty(self) -> bool:
        with self.locked():
            for requirement in tuple(self.store.requirements.values()):
                self.compute.terminate(requirement)
            if any(_has_host(instance) for instance in self.store.instances.values()):
                return False
            self.agents.wake_all()
            self._kernel.forget_timers()
            self._wire()
        return True

    def close(self) -> None:
        """End all hosts and stop the clock."""
        with self.locked():
            self.agents.wake_all()
        self.hosts.close()
        self.clock.close()


def _has_host(instance: InstanceRecord) -> bool:
    pool = instance.requirement.pool
    joined_by_itself = pool is not None and pool.configured
    return not instance.host_gone and not joined_by_itself


def _application(settings: Settings, ids: Ids) -> ApplicationDetails:
    return ApplicationDetails(
        accountId=ids.new("account"),
        accountName=settings.account_name,
        id=ids.new("app"),
        name="local",
        allNamespacesReadable=True,
        features=[Feature.PLATFORM],
    )
