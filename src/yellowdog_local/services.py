"""All services of a platform, constructed together, and the routes of events among them. Imports no HTTP."""

from __future__ import annotations

from yellowdog_local.account.allowances import Allowances
from yellowdog_local.account.keyrings import Keyrings
from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.account.policies import Policies
from yellowdog_local.agents import Agents
from yellowdog_local.compute.attributes import Attributes
from yellowdog_local.compute.cloud_info import CloudInfo
from yellowdog_local.compute.images import Images
from yellowdog_local.compute.instances import Instances
from yellowdog_local.compute.requirements import Compute
from yellowdog_local.compute.templates import Templates
from yellowdog_local.events import Events
from yellowdog_local.faults import Faults, Rule
from yellowdog_local.faults.machines import FaultyClouds, FaultyCommands, FaultyNodes, faulty_hosts
from yellowdog_local.hosts.base import HostBackend
from yellowdog_local.messages import ActionEnd, AgentEvent, Registration
from yellowdog_local.pools.configured import ConfiguredPools
from yellowdog_local.pools.node_actions import NodeActions
from yellowdog_local.pools.nodes import Nodes
from yellowdog_local.pools.provisioned import Pools
from yellowdog_local.scheduler import Scheduler
from yellowdog_local.state.ids import Ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.records import InstanceRecord, PoolRecord, RequirementRecord
from yellowdog_local.state.slots import Slots
from yellowdog_local.state.store import Store
from yellowdog_local.work.requirements import Work
from yellowdog_local.work.tasks import Tasks


class Services(Events):
    """The services from one start or reset to the next.

    Services that report events get this object, and it passes each event on to the service that handles it. Nothing
    reports an event before all of them are constructed.
    """

    def __init__(self, kernel: Kernel, ids: Ids, hosts: HostBackend, faults: Faults) -> None:
        self.store = store = Store()
        machines = faulty_hosts(hosts, store, faults)
        self.namespaces = Namespaces(kernel, store, ids)
        self.templates = Templates(kernel, store, ids, self.namespaces)
        self.agents = Agents(kernel, store, self)
        self.instances = Instances(kernel, store, ids, machines, self)
        shortage = FaultyClouds(store, faults).shortage
        self.compute = Compute(kernel, store, ids, self.namespaces, self.templates, self.instances, shortage, self)
        slots = Slots(kernel)
        commands = FaultyCommands(kernel, store, self.agents, self, faults)
        self.tasks = Tasks(kernel, store, self.namespaces, commands, slots)
        self.nodes = Nodes(kernel, store, ids, self.agents, slots, self.tasks, self.compute)
        self.work = Work(kernel, store, ids, self.namespaces, self.tasks)
        self.pools = Pools(kernel, store, ids, slots, self.nodes, self.compute, self)
        self.configured = ConfiguredPools(kernel, store, ids, self.namespaces, self.pools)
        self.node_actions = NodeActions(kernel, store, self.nodes, commands)
        self.policies = Policies(kernel, store)
        self.attributes = Attributes(store)
        self.images = Images(kernel, store, ids, self.namespaces)
        self.keyrings = Keyrings(kernel, store, ids, self.namespaces)
        self.allowances = Allowances(kernel, store, ids)
        self.cloud_info = CloudInfo()
        self.scheduler = Scheduler(kernel, store, slots, self.tasks, self.work, self.pools, self.policies)
        self._faulty_nodes = FaultyNodes(kernel, store, self.nodes, machines, faults)

    def rule_added(self, rule_id: str, rule: Rule) -> None:
        """Apply a new fault rule to the platform nodes that run already."""
        self._faulty_nodes.rule_added(rule_id, rule)

    def agent_joining(self, token: str, registration: Registration) -> InstanceRecord | None:
        """To the configured pools."""
        return self.configured.join(token, registration)

    def agent_registered(self, instance: InstanceRecord, registration: Registration) -> str:
        """To the platform nodes, through the faults: some nodes are to be lost later."""
        return self._faulty_nodes.agent_registered(instance, registration)

    def agent_reported(self, node_id: str, event: AgentEvent) -> None:
        """To the platform nodes, and from there to the tasks."""
        self.nodes.agent_reported(node_id, event)

    def agent_silent(self, node_id: str, seconds: float) -> None:
        """To the platform nodes."""
        self.nodes.agent_silent(node_id, seconds)

    def agent_returned(self, node_id: str) -> None:
        """To the platform nodes."""
        self.nodes.agent_returned(node_id)

    def action_ended(self, node_id: str, end: ActionEnd) -> None:
        """To the queues of node actions."""
        self.node_actions.ended(node_id, end)

    def instance_ending(self, instance: InstanceRecord, reason: str) -> None:
        """To the platform nodes: the instance's node and tasks are lost."""
        self.nodes.instance_ending(instance, reason)

    def instance_changed(self, requirement: RequirementRecord) -> None:
        """To the compute requirements."""
        self.compute.refresh(requirement)

    def requirement_changed(self, requirement: RequirementRecord) -> None:
        """To the platform nodes: the next pass reads the requirement's pool."""
        self.nodes.requirement_changed(requirement)

    def pool_target_requested(self, pool: PoolRecord, target: int) -> None:
        """To the worker pools, which own the target of their requirements."""
        self.pools.set_target(pool, target)

    def pool_shut_down(self, pool: PoolRecord) -> None:
        """To the scheduler: waiting tasks may have lost their only pool."""
        self.scheduler.pool_shut_down(pool)
