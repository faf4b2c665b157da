"""Compute requirements: provision from templates or as sent, fill from sources, update, stop, start, terminate.

Imports instances; reports changes as events and imports no pool.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from copy import deepcopy
from typing import Literal, NamedTuple

from yellowdog_client.model import (
    AutoShutdown,
    ComputeProvisionStrategy,
    ComputeRequirement,
    ComputeRequirementStatus,
    ComputeRequirementTemplateUsage,
    ComputeSource,
    ComputeSourceStatus,
    InstanceStatus,
    WaterfallProvisionStrategy,
)

from yellowdog_local.account.namespaces import Namespaces
from yellowdog_local.compute import clouds
from yellowdog_local.compute.instances import Instances
from yellowdog_local.compute.selection import name_provisioned
from yellowdog_local.compute.strategies import STRATEGIES, shares
from yellowdog_local.compute.templates import Templates
from yellowdog_local.errors import AlreadyExists, InvalidComputeStatus, InvalidRequest, NotCovered, check_size
from yellowdog_local.events import Events
from yellowdog_local.state import ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.lives import COMPUTE_REQUIREMENT, RequirementEvent
from yellowdog_local.state.records import InstanceRecord, RequirementRecord, SourceRecord
from yellowdog_local.state.store import Store

_log = logging.getLogger(__name__)
_Status = ComputeRequirementStatus
_ENDED = (_Status.TERMINATING, _Status.TERMINATED)
_NEXT = {
    _Status.PROVISIONING: _Status.RUNNING,
    _Status.STARTING: _Status.RUNNING,
    _Status.STOPPING: _Status.STOPPED,
    _Status.TERMINATING: _Status.TERMINATED,
}
_BUSY = (InstanceStatus.PENDING, InstanceStatus.STOPPING, InstanceStatus.TERMINATING)


class _Sourced(NamedTuple):
    """A compute source for provisioning, and its template if it has one."""

    template_id: str | None
    source: ComputeSource


class Compute:
    """The compute service. Every method is called under the platform's lock."""

    def __init__(
        self,
        kernel: Kernel,
        store: Store,
        id_maker: ids.Ids,
        namespaces: Namespaces,
        templates: Templates,
        instances: Instances,
        shortage: Callable[[str, SourceRecord, int], tuple[int, str] | None],
        events: Events,
    ) -> None:
        self._kernel = kernel
        self._store = store
        self._ids = id_maker
        self._namespaces = namespaces
        self._templates = templates
        self._instances = instances
        self._shortage = shortage
        self._events = events
        self.terminate_instance = instances.terminate

    def provision(self, usage: ComputeRequirementTemplateUsage) -> RequirementRecord:
        """Add a requirement from a template and start to boot its instances."""
        return self._keep(self.draft(usage))

    def add(self, entity: ComputeRequirement) -> RequirementRecord:
        """Add a requirement as sent and start to boot its instances."""
        sources = [_Sourced(source.createdFromId, source) for source in entity.provisionStrategy.sources or ()]
        if not sources:
            raise InvalidRequest("provisionStrategy.sources must not be empty")
        return self._keep(self._draft(entity, entity.provisionStrategy.type, sources, None))

    def draft(self, usage: ComputeRequirementTemplateUsage) -> RequirementRecord:
        """The requirement that a template would give; nothing is stored or booted."""
        resolved = self._templates.resolve(usage, clouds.traits(can_stop=self._instances.can_stop))
        template = resolved.template
        namespace = usage.requirementNamespace or template.namespace
        if namespace is None:
            raise InvalidRequest("requirementNamespace must be set, since the template has no namespace")
        wanted = ComputeRequirement(
            namespace=namespace,
            name=usage.requirementName,
            provisionStrategy=STRATEGIES[template.strategyType or ""]([]),
            tag=usage.requirementTag,
            targetInstanceCount=usage.targetInstanceCount,
            maintainInstanceCount=usage.maintainInstanceCount,
            autoShutdown=usage.autoShutdown,
        )
        sources = [_Sourced(*sourced) for sourced in resolved.sources]
        record = self._draft(wanted, template.strategyType or "", sources, usage.userData or template.userData)
        record.entity.createdFromId = template.id
        record.report = resolved.report
        if record.report is not None:
            name_provisioned(record.report, record.id, [source.entity for source in record.sources], record.created)
        return record

    def refuse_taken_name(self, namespace: str, name: str) -> None:
        """Refuse the name of an unfinished requirement."""
        existing = self._store.requirements_by_name.get((namespace, name))
        if existing is None:
            return
        reusable = self._kernel.settings.reuse_finished_names
        if existing.status is not _Status.TERMINATED or not reusable:
            raise AlreadyExists("Compute requirement", namespace, name)

    def resize(self, requirement: RequirementRecord, target: int) -> None:
        """Set the target; `fill` boots missing instances, surplus ones stay."""
        requirement.entity.targetInstanceCount = target

    def fill(self, requirement: RequirementRecord) -> None:
        """Request missing instances from the sources."""
        entity = requirement.entity
        wanted = entity.targetInstanceCount - requirement.alive
        if requirement.status in _ENDED:
            return
        if wanted > 0:
            self._note_provisioning(requirement)
        self._request_missing(requirement)
        self.refresh(requirement)

    def update(self, entity: ComputeRequirement, *, reprovision: bool) -> RequirementRecord:
        """Update a requirement: tag, maintainInstanceCount, automatic shutdown and target."""
        record = self._store.requirement(entity.id or "")
        self._refuse_ended(record)
        if (entity.namespace, entity.name) != (record.namespace, record.name):
            raise InvalidRequest("namespace and name of a compute requirement cannot be changed")
        names = [source.name for source in entity.provisionStrategy.sources or ()]
        same_type = entity.provisionStrategy.type == record.entity.provisionStrategy.type
        if not same_type or names != [source.entity.name for source in record.sources]:
            raise NotCovered("Changing the provisionStrategy of a compute requirement")
        self._check_target(entity.targetInstanceCount)
        record.entity.tag = entity.tag
        record.entity.maintainInstanceCount = entity.maintainInstanceCount
        if entity.autoShutdown != record.entity.autoShutdown:
            self.set_auto_shutdown(record, entity.autoShutdown)
        if reprovision or entity.targetInstanceCount != record.entity.targetInstanceCount:
            self._set_target(record, entity.targetInstanceCount)
        self._kernel.want_pass()
        return record

    def deprovision(self, requirement: RequirementRecord, instances: list[InstanceRecord]) -> None:
        """Terminate instances and reduce the target by their number, without those that are already ending."""
        alive = [instance for instance in instances if instance.status.alive]
        # A pool reduces its own target with each ended instance, and the requirement's target follows.
        if requirement.pool is None:
            requirement.entity.targetInstanceCount = max(0, requirement.entity.targetInstanceCount - len(alive))
        for instance in alive:
            self._instances.terminate(instance, "it was deprovisioned")
        self.refresh(requirement)

    def _set_target(self, requirement: RequirementRecord, target: int) -> None:
        if requirement.pool is not None:
            self._events.pool_target_requested(requirement.pool, target)
            return
        requirement.entity.targetInstanceCount = target
        surplus = requirement.alive - target
        alive = [instance for instance in requirement.live.values() if instance.status.alive]
        for instance in alive[::-1][: max(0, surplus)]:
            self._instances.terminate(instance, "its compute requirement was made smaller")
        self.fill(requirement)

    def set_auto_shutdown(self, requirement: RequirementRecord, wanted: AutoShutdown | None) -> None:
        """Set or remove the time after which a requirement is terminated, from now on."""
        if requirement.shutdown_timer is not None:
            requirement.shutdown_timer.cancel()
        requirement.shutdown_timer = requirement.entity.autoShutdownTime = None
        requirement.entity.autoShutdown = wanted
        if wanted is not None and wanted.enabled and wanted.timeout is not None:
            requirement.entity.autoShutdownTime = self._kernel.now() + wanted.timeout
            seconds = wanted.timeout.total_seconds()
            requirement.shutdown_timer = self._kernel.after(seconds, lambda: self.terminate(requirement))
        self._kernel.want_pass()

    def stop(self, requirement: RequirementRecord) -> None:
        """Stop all instances of a requirement."""
        self.check_can_stop(requirement)
        self._request(requirement, "stop", _Status.STOPPING)
        for instance in tuple(requirement.live.values()):
            self._instances.stop(instance)
        self.refresh(requirement)

    def start(self, requirement: RequirementRecord) -> None:
        """Start all stopped instances of a requirement."""
        self.check_can_stop(requirement)
        self._request(requirement, "start", _Status.STARTING)
        for instance in tuple(requirement.live.values()):
            self._instances.start(instance)
        self.refresh(requirement)

    def reprovision(self, requirement: RequirementRecord) -> None:
        """Request the instances that have ended again."""
        self._refuse_ended(requirement)
        self.fill(requirement)

    def check_can_stop(self, requirement: RequirementRecord) -> None:
        """Refuse to stop, start or restart if pool or sources do not support it."""
        if requirement.pool is not None:
            raise NotCovered("Stopping, starting and restarting instances of a worker pool")
        if not self._instances.can_stop:
            raise InvalidRequest("The compute sources do not support stopping and starting: see their traits")

    def updating(self, requirement: RequirementRecord) -> bool:
        """Whether an instance of a requirement is changing its status."""
        return any(instance.status in _BUSY for instance in requirement.live.values())

    def terminate(self, requirement: RequirementRecord) -> None:
        """Terminate a requirement and all its instances at once. Repeating it is harmless."""
        if requirement.status in _ENDED:
            return
        _log.info("compute requirement %s/%s is terminated", requirement.namespace, requirement.name)
        requirement.entity.targetInstanceCount = 0
        self._move(requirement, "terminate")
        for timer in (requirement.shutdown_timer, requirement.refill_timer):
            if timer is not None:
                timer.cancel()
        for instance in tuple(requirement.live.values()):
            self._instances.terminate(instance, "its compute requirement was terminated")
        self.refresh(requirement)

    def _keep(self, record: RequirementRecord) -> RequirementRecord:
        self.refuse_taken_name(record.namespace, record.name)
        self._namespaces.use(record.namespace)
        record.entity.status, record.entity.statusChangedTime = record.status, self._kernel.now()
        self._store.add_requirement(record)
        self.set_auto_shutdown(record, record.entity.autoShutdown)
        _log.info(
            "compute requirement %s/%s was added with a target of %d instances",
            record.namespace,
            record.name,
            record.entity.targetInstanceCount,
        )
        self.fill(record)
        return record

    def _draft(
        self, entity: ComputeRequirement, strategy_type: str, sources: list[_Sourced], user_data: str | None
    ) -> RequirementRecord:
        self._check_target(entity.targetInstanceCount)
        check_size("userData", [user_data or ""], self._kernel.settings.max_user_data_bytes)
        self._namespaces.check_name("requirementName", entity.name)
        requirement_id, now = self._ids.new("compreq"), self._kernel.now()
        records = [
            self._source(requirement_id, number, sourced, user_data) for number, sourced in enumerate(sources, 1)
        ]
        strategy: ComputeProvisionStrategy = STRATEGIES[strategy_type]([record.entity for record in records])
        entity.id, entity.createdTime, entity.provisionStrategy = requirement_id, now, strategy
        entity.supportedOperations = clouds.supported_operations(can_stop=self._instances.can_stop)
        return RequirementRecord(
            seq=self._kernel.next_sequence(),
            id=requirement_id,
            entity=entity,
            namespace=entity.namespace,
            name=entity.name,
            created=now,
            sources=records,
        )

    def _check_target(self, target: int) -> None:
        limit = self._kernel.settings.max_instances
        if not 0 <= target <= limit:
            raise InvalidRequest(f"targetInstanceCount must be between 0 and {limit}")

    def _source(self, requirement_id: str, number: int, sourced: _Sourced, user_data: str | None) -> SourceRecord:
        entity = deepcopy(sourced.source)
        entity.id = ids.child("compsrc", requirement_id, number)
        entity.createdFromId = sourced.template_id
        entity.status = ComputeSourceStatus.NEW
        simulator_provider = self._kernel.settings.simulator_provider
        clouds.set_assigned(entity, can_stop=self._instances.can_stop, simulator_provider=simulator_provider)
        entity.userData = user_data or entity.userData
        return SourceRecord(id=entity.id, entity=entity)

    def _request_missing(self, requirement: RequirementRecord) -> None:
        entity = requirement.entity
        for source in requirement.sources:
            source.exhausted = False
        # A waterfall continues with the next source if a cloud refuses.
        falls = isinstance(entity.provisionStrategy, WaterfallProvisionStrategy)
        for _ in requirement.sources if falls else requirement.sources[:1]:
            wanted = max(0, entity.targetInstanceCount - requirement.alive)
            for source, number in tuple(shares(entity.provisionStrategy, requirement.sources, wanted)):
                self._request_instances(requirement, source, number)
            if not any(source.exhausted for source in requirement.sources):
                return

    def _request_instances(self, requirement: RequirementRecord, source: SourceRecord, number: int) -> None:
        entity = source.entity
        source.requested = number
        failure = clouds.refusal(entity)
        granted = 0 if failure else min(number, clouds.room(entity, source.alive))
        shortage = self._shortage(requirement.name, source, granted)
        if shortage is not None:
            granted, failure = shortage
            source.exhausted = True
        if granted < number:
            entity.status = ComputeSourceStatus.ERRORED
            entity.statusMessage = failure or f"insufficient capacity: {granted} of {number} instances granted"
            _log.info("source %s of %s: %s", entity.name, requirement.name, entity.statusMessage)
        else:
            entity.status, entity.statusMessage = ComputeSourceStatus.ACTIVE, None
        for _ in range(granted):
            self._instances.boot(requirement, source)

    def _move(self, requirement: RequirementRecord, event: RequirementEvent) -> None:
        COMPUTE_REQUIREMENT.move(requirement, event)
        requirement.entity.nextStatus = _NEXT.get(requirement.status)
        requirement.entity.statusChangedTime = self._kernel.now()
        self._kernel.want_pass()

    def _note_provisioning(self, requirement: RequirementRecord) -> None:
        if requirement.status is not _Status.PROVISIONING:
            self._move(requirement, "provision")

    def refresh(self, requirement: RequirementRecord) -> None:
        """Update a requirement's status after a change of its instances or its target."""
        entity = requirement.entity
        entity.expectedInstanceCount = requirement.alive
        self._events.requirement_changed(requirement)
        if requirement.status is _Status.TERMINATING:
            if not requirement.live:
                self._move(requirement, "end")
        elif requirement.status is _Status.STOPPING:
            if all(instance.status is InstanceStatus.STOPPED for instance in requirement.live.values()):
                self._move(requirement, "stopped")
        elif requirement.status not in (_Status.STOPPED, _Status.TERMINATED):
            self._refresh_running(requirement)

    def _refresh_running(self, requirement: RequirementRecord) -> None:
        entity = requirement.entity
        pending = any(source.counts[InstanceStatus.PENDING] for source in requirement.sources)
        short = requirement.alive < entity.targetInstanceCount
        if short and entity.maintainInstanceCount:
            self._refill_soon(requirement)
        provisioning = requirement.status in (_Status.NEW, _Status.PROVISIONING)
        if not pending and not (short and provisioning):
            if requirement.status is not _Status.RUNNING:
                self._move(requirement, "provisioned")
        elif requirement.status is not _Status.STARTING:
            self._note_provisioning(requirement)

    def _refill_soon(self, requirement: RequirementRecord) -> None:
        # Not at once: a source without capacity would get requests in an endless loop.
        if requirement.refill_timer is None:
            seconds = self._kernel.settings.autoscale_interval_seconds
            requirement.refill_timer = self._kernel.after(seconds, lambda: self._refill(requirement))

    def _refill(self, requirement: RequirementRecord) -> None:
        requirement.refill_timer = None
        if requirement.status in (_Status.RUNNING, _Status.PROVISIONING):
            self.fill(requirement)

    def _refuse_ended(self, requirement: RequirementRecord) -> None:
        if requirement.status in _ENDED:
            raise InvalidComputeStatus(
                f"Compute requirement '{requirement.name}' cannot be changed: it is {requirement.status}"
            )

    def _request(
        self, requirement: RequirementRecord, event: Literal["stop", "start"], reached: ComputeRequirementStatus
    ) -> None:
        """Move a requirement as a user requests; repeating a request is harmless."""
        if requirement.status is reached:
            return
        if not COMPUTE_REQUIREMENT.declares(requirement.status, event):
            raise InvalidComputeStatus(
                f"Compute requirement '{requirement.name}' cannot become {_NEXT[reached]}: it is {requirement.status}"
            )
        self._move(requirement, event)
