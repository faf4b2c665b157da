"""Compute requirements and their instances: provisioning from sources, termination, and what hosts tell of themselves.

Knows hosts; knows pools only as somebody who wants to hear that an instance is ending.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from copy import deepcopy

from yellowdog_client.model import (
    ComputeProvisionStrategy,
    ComputeRequirement,
    ComputeRequirementStatus,
    ComputeRequirementTemplateUsage,
    ComputeSource,
    ComputeSourceStatus,
    InstanceId,
    InstanceStatus,
    SimulatorComputeSource,
)

from yellowdog_local import clouds, ids
from yellowdog_local.errors import AlreadyExists, InvalidRequest
from yellowdog_local.hosts.base import HostAddress, HostBackend, HostRequest
from yellowdog_local.kernel import Kernel
from yellowdog_local.namespaces import Namespaces
from yellowdog_local.records import InstanceRecord, RequirementRecord, SourceRecord
from yellowdog_local.store import Store
from yellowdog_local.strategies import STRATEGIES, shares
from yellowdog_local.templates import Templates

_ENDED = (ComputeRequirementStatus.TERMINATING, ComputeRequirementStatus.TERMINATED)


class Compute:
    """The compute service. Every method is called under the platform's lock."""

    def __init__(
        self,
        kernel: Kernel,
        store: Store,
        id_maker: ids.Ids,
        namespaces: Namespaces,
        templates: Templates,
        hosts: HostBackend,
    ) -> None:
        self._kernel = kernel
        self._store = store
        self._ids = id_maker
        self._namespaces = namespaces
        self._templates = templates
        self._hosts = hosts
        self.on_instance_ending: Callable[[InstanceRecord, str], None] = lambda _instance, _reason: None
        self.on_change: Callable[[RequirementRecord], None] = lambda _requirement: None

    def provision(self, usage: ComputeRequirementTemplateUsage) -> RequirementRecord:
        """Make a requirement from a template and begin to boot its instances."""
        template, source_templates = self._templates.resolve(usage.templateId)
        if usage.targetInstanceCount < 0 or usage.targetInstanceCount > self._kernel.settings.max_instances:
            limit = self._kernel.settings.max_instances
            raise InvalidRequest(f"targetInstanceCount must be between 0 and {limit}")
        namespace = usage.requirementNamespace or template.namespace
        if namespace is None:
            raise InvalidRequest("requirementNamespace must be set, since the template has no namespace")
        self._namespaces.check_name("requirementName", usage.requirementName)
        self.refuse_taken_name(namespace, usage.requirementName)
        self._namespaces.use(namespace)
        user_data = usage.userData or template.userData
        requirement_id = self._ids.new("compreq")
        sources = [
            self._source(requirement_id, number, source_template_id, source, user_data)
            for number, (source_template_id, source) in enumerate(source_templates, 1)
        ]
        strategy: ComputeProvisionStrategy = STRATEGIES[template.strategyType or ""](
            [source.entity for source in sources]
        )
        entity = ComputeRequirement(
            namespace=namespace,
            name=usage.requirementName,
            provisionStrategy=strategy,
            tag=usage.requirementTag,
            targetInstanceCount=usage.targetInstanceCount,
            maintainInstanceCount=usage.maintainInstanceCount,
            autoShutdown=usage.autoShutdown,
        )
        now = self._kernel.now()
        entity.id, entity.createdTime, entity.createdFromId = requirement_id, now, template.id
        entity.supportedOperations = clouds.SUPPORTED_OPERATIONS
        record = RequirementRecord(
            seq=self._kernel.next_sequence(),
            id=requirement_id,
            entity=entity,
            namespace=namespace,
            name=usage.requirementName,
            created=now,
            sources=sources,
        )
        self._set_status(record, ComputeRequirementStatus.NEW)
        self._store.add_requirement(record)
        self.fill(record)
        return record

    def refuse_taken_name(self, namespace: str, name: str) -> None:
        """Refuse a name that an unfinished requirement has."""
        existing = self._store.requirements_by_name.get((namespace, name))
        if existing is None:
            return
        reusable = self._kernel.settings.reuse_finished_names
        if existing.entity.status is not ComputeRequirementStatus.TERMINATED or not reusable:
            raise AlreadyExists("Compute requirement", namespace, name)

    def resize(self, requirement: RequirementRecord, target: int) -> None:
        """Note how many instances are wanted; `fill` makes them, nothing here takes any away."""
        requirement.entity.targetInstanceCount = target

    def fill(self, requirement: RequirementRecord) -> None:
        """Ask the sources for the instances that are wanted and missing."""
        entity = requirement.entity
        wanted = entity.targetInstanceCount - requirement.alive
        if entity.status in _ENDED:
            return
        for source, number in shares(entity.provisionStrategy, requirement.sources, max(0, wanted)):
            self._request(requirement, source, number)
        self._settle(requirement)

    def terminate(self, requirement: RequirementRecord) -> None:
        """End a requirement: all its instances at once. Ending what has ended is harmless."""
        if requirement.entity.status in _ENDED:
            return
        requirement.entity.targetInstanceCount = 0
        self._set_status(requirement, ComputeRequirementStatus.TERMINATING)
        for instance in tuple(requirement.live.values()):
            self.terminate_instance(instance, "its compute requirement was terminated")
        self._settle(requirement)

    def terminate_instance(self, instance: InstanceRecord, reason: str) -> None:
        """Switch an instance off. Its tasks are lost at once, its record ends when the host is gone."""
        if not instance.status.alive:
            return
        self._set_instance_status(instance, InstanceStatus.TERMINATING)
        _cancel_boot(instance)
        self.on_instance_ending(instance, reason)
        self._kernel.defer(lambda: self._hosts.destroy(instance.id))
        seconds = self._vary(*clouds.shutdown_time(instance.source.entity))
        if seconds > 0:
            self._kernel.after(seconds, lambda: self._shutdown_over(instance))
        else:
            instance.shutdown_over = True

    def host_running(self, instance_id: str, address: HostAddress) -> None:
        """A host has booted."""
        instance = self._store.instances.get(instance_id)
        if instance is None or instance.status is not InstanceStatus.PENDING:
            return
        instance.entity.hostname = address.hostname
        instance.entity.privateIpAddress = address.private_ip
        instance.entity.publicIpAddress = address.public_ip
        self._set_instance_status(instance, InstanceStatus.RUNNING)
        self._settle(instance.requirement)
        self._start_refreshing(instance.source, instance.requirement)

    def host_gone(self, instance_id: str, reason: str) -> None:
        """A host has ended, as asked or by itself."""
        instance = self._store.instances.get(instance_id)
        if instance is None or instance.host_gone:
            return
        instance.host_gone = True
        if instance.status.alive:
            _cancel_boot(instance)
            self._set_instance_status(instance, InstanceStatus.TERMINATING)
            self.on_instance_ending(instance, reason or "the host ended")
            instance.shutdown_over = True
        self._end_if_over(instance)

    def _source(
        self, requirement_id: str, number: int, template_id: str, template: ComputeSource, user_data: str | None
    ) -> SourceRecord:
        entity = deepcopy(template)
        entity.id = ids.child("compsrc", requirement_id, number)
        entity.createdFromId = template_id
        entity.status = ComputeSourceStatus.NEW
        entity.provider = clouds.provider(entity)
        entity.traits = clouds.TRAITS
        entity.userData = user_data or template.userData
        return SourceRecord(id=entity.id, entity=entity)

    def _request(self, requirement: RequirementRecord, source: SourceRecord, number: int) -> None:
        entity = source.entity
        source.requested = number
        failure = clouds.refusal(entity)
        granted = 0 if failure else min(number, clouds.room(entity, source.alive))
        if granted < number:
            entity.status = ComputeSourceStatus.ERRORED
            entity.statusMessage = failure or f"insufficient capacity: {granted} of {number} instances granted"
        else:
            entity.status, entity.statusMessage = ComputeSourceStatus.ACTIVE, None
        for _ in range(granted):
            self._boot(requirement, source)

    def _boot(self, requirement: RequirementRecord, source: SourceRecord) -> None:
        entity = clouds.instance_for(source.entity)
        instance_id = self._ids.instance()
        entity.id = InstanceId(source.id, instance_id)
        entity.createdTime = self._kernel.now()
        instance = InstanceRecord(
            seq=self._kernel.next_sequence(),
            id=instance_id,
            entity=entity,
            requirement=requirement,
            source=source,
            token=secrets.token_hex(16),
        )
        self._store.add_instance(instance)
        source.counts[InstanceStatus.PENDING] += 1
        self._set_instance_status(instance, InstanceStatus.PENDING, first=True)
        request = HostRequest(
            instance_id=instance_id,
            agent_token=instance.token,
            user_data=source.entity.userData,
            instance_type=source.entity.instanceType or "",
            provider=source.entity.provider.name if source.entity.provider else "",
            region=source.entity.region or "",
            source_name=source.entity.name or "",
            boot_seconds=self._vary(*clouds.startup_time(source.entity, self._kernel.settings)),
        )
        self._kernel.defer(lambda: self._create_host(request))

    def _create_host(self, request: HostRequest) -> None:
        try:
            self._hosts.create(request, _Listener(self._kernel, self))
        except Exception as error:
            with self._kernel.locked():
                self.host_gone(request.instance_id, f"the host could not be made: {error}")
            raise

    def _set_instance_status(self, instance: InstanceRecord, status: InstanceStatus, *, first: bool = False) -> None:
        source = instance.source
        if not first:
            source.counts[instance.status] -= 1
            source.counts[status] += 1
        source.changed.mark(self._kernel.now())
        instance.status = instance.entity.status = status
        instance.entity.statusChangedTime = self._kernel.now()
        self._kernel.want_pass()

    def _set_status(self, requirement: RequirementRecord, status: ComputeRequirementStatus) -> None:
        if requirement.entity.status is not status:
            requirement.entity.status = status
            requirement.entity.statusChangedTime = self._kernel.now()

    def _settle(self, requirement: RequirementRecord) -> None:
        entity = requirement.entity
        entity.expectedInstanceCount = requirement.alive
        self.on_change(requirement)
        if entity.status is ComputeRequirementStatus.TERMINATED:
            return
        if entity.status is ComputeRequirementStatus.TERMINATING:
            if not requirement.live:
                self._set_status(requirement, ComputeRequirementStatus.TERMINATED)
            return
        pending = any(source.counts[InstanceStatus.PENDING] for source in requirement.sources)
        short = requirement.alive < entity.targetInstanceCount
        settled = ComputeRequirementStatus.RUNNING
        self._set_status(requirement, ComputeRequirementStatus.PROVISIONING if pending or short else settled)

    def _shutdown_over(self, instance: InstanceRecord) -> None:
        instance.shutdown_over = True
        self._end_if_over(instance)

    def _end_if_over(self, instance: InstanceRecord) -> None:
        if not (instance.host_gone and instance.shutdown_over):
            return
        if instance.status is InstanceStatus.TERMINATED:
            return
        self._set_instance_status(instance, InstanceStatus.TERMINATED)
        instance.requirement.live.pop(instance.id, None)
        self._store.instances_by_token.pop(instance.token, None)
        self._settle(instance.requirement)

    def _vary(self, seconds: float, variance: float) -> float:
        return max(0.0, seconds * (1 + variance * self._kernel.random.uniform(-1, 1)))

    def _start_refreshing(self, source: SourceRecord, requirement: RequirementRecord) -> None:
        entity = source.entity
        if source.refresh is not None or not isinstance(entity, SimulatorComputeSource):
            return
        if entity.unexpectedInstanceTerminationProbability <= 0:
            return
        period = self._kernel.settings.simulator_refresh_seconds
        source.refresh = self._kernel.after(period, lambda: self._refresh(source, requirement))

    def _refresh(self, source: SourceRecord, requirement: RequirementRecord) -> None:
        source.refresh = None
        entity = source.entity
        if not isinstance(entity, SimulatorComputeSource):
            return
        for instance in _running_of(source, requirement.live.values()):
            if self._kernel.random.random() < entity.unexpectedInstanceTerminationProbability:
                self.terminate_instance(instance, "unexpected termination")
        if source.alive:
            self._start_refreshing(source, requirement)


def _running_of(source: SourceRecord, instances: Iterable[InstanceRecord]) -> list[InstanceRecord]:
    return [i for i in instances if i.source is source and i.status is InstanceStatus.RUNNING]


def _cancel_boot(instance: InstanceRecord) -> None:
    if instance.boot_timer is not None:
        instance.boot_timer.cancel()
        instance.boot_timer = None


class _Listener:
    """Lets backends tell of their hosts from any thread."""

    def __init__(self, kernel: Kernel, compute: Compute) -> None:
        self._kernel = kernel
        self._compute = compute

    def host_running(self, instance_id: str, address: HostAddress) -> None:
        with self._kernel.locked():
            self._compute.host_running(instance_id, address)

    def host_gone(self, instance_id: str, reason: str) -> None:
        with self._kernel.locked():
            self._compute.host_gone(instance_id, reason)
