"""Instances, one at a time: boot, stop, start, restart, terminate, and handle the reports of hosts.

Imports hosts; reports every change as an event of the instance's requirement.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable
from typing import Literal, Protocol, runtime_checkable

from yellowdog_client.model import InstanceId, InstanceStatus, SimulatorComputeSource

from yellowdog_local.compute import clouds
from yellowdog_local.events import Events
from yellowdog_local.hosts.base import HostAddress, HostBackend, HostRequest
from yellowdog_local.state import ids
from yellowdog_local.state.kernel import Kernel
from yellowdog_local.state.lives import INSTANCE, InstanceEvent
from yellowdog_local.state.records import InstanceRecord, RequirementRecord, SourceRecord
from yellowdog_local.state.retention import Retention
from yellowdog_local.state.store import Store

_log = logging.getLogger(__name__)


@runtime_checkable
class StopsHosts(Protocol):
    """A host backend whose hosts can be stopped, and created again later under the same instance id."""

    def stop(self, instance_id: str) -> None:
        """Switch a host off without a report to its listener."""


class Instances:
    """All instances. Every method is called under the platform's lock."""

    def __init__(self, kernel: Kernel, store: Store, id_maker: ids.Ids, hosts: HostBackend, events: Events) -> None:
        self._kernel = kernel
        self._store = store
        self._ids = id_maker
        self._hosts = hosts
        self._events = events
        self._retention = Retention(kernel, store)
        self._stopper = hosts if isinstance(hosts, StopsHosts) else None

    @property
    def can_stop(self) -> bool:
        """Whether instances can be stopped, started and restarted."""
        return self._stopper is not None

    def boot(self, requirement: RequirementRecord, source: SourceRecord) -> None:
        """Start to boot a new instance of a source."""
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
        entity.status = instance.status
        self._note_status(instance)
        self._create_host(instance)

    def terminate(self, instance: InstanceRecord, reason: str) -> None:
        """Terminate an instance. Its tasks are lost at once; it is TERMINATED when its host is gone."""
        if not instance.status.alive:
            return
        _log.info("instance %s is terminated: %s", instance.id, reason)
        self._move(instance, "terminate")
        _cancel_boot(instance)
        self._events.instance_ending(instance, reason)
        if not instance.host_gone:  # neither a stopped instance nor a machine of a configured pool has a host
            self._kernel.defer(lambda: self._hosts.destroy(instance.id))
        instance.shutdown_over = False
        self._after_shutdown(instance, lambda: self._shutdown_over(instance))

    def stop(self, instance: InstanceRecord) -> None:
        """Stop an instance if it is running."""
        if instance.status is InstanceStatus.RUNNING:
            self._switch_off(instance, "stop", "it was stopped")
            self._after_shutdown(instance, lambda: self._stopped(instance))

    def start(self, instance: InstanceRecord) -> None:
        """Start an instance if it is stopped."""
        if instance.status is InstanceStatus.STOPPED:
            self._move(instance, "start")
            self._switch_on(instance)

    def restart(self, instance: InstanceRecord) -> None:
        """Restart a running instance; start a stopped one."""
        if instance.status is InstanceStatus.RUNNING:
            self._switch_off(instance, "restart", "it was restarted")
            self._switch_on(instance)
        else:
            self.start(instance)

    def host_running(self, instance_id: str, address: HostAddress) -> None:
        """Handle the report that a host has booted."""
        instance = self._store.instances.get(instance_id)
        if instance is None or instance.status is not InstanceStatus.PENDING:
            return
        instance.entity.hostname = address.hostname
        instance.entity.privateIpAddress = address.private_ip
        instance.entity.publicIpAddress = address.public_ip
        self._move(instance, "boot")
        _log.info("instance %s is running at %s", instance.id, address.private_ip)
        self._events.instance_changed(instance.requirement)
        self._start_refreshing(instance.source, instance.requirement)

    def host_gone(self, instance_id: str, reason: str) -> None:
        """Handle the report that a host has ended, on request or by itself."""
        instance = self._store.instances.get(instance_id)
        if instance is None or instance.host_gone:
            return
        instance.host_gone = True
        if instance.status.alive:
            _log.info("instance %s has ended: %s", instance.id, reason)
            _cancel_boot(instance)
            self._move(instance, "terminate")
            self._events.instance_ending(instance, reason or "the host ended")
            instance.shutdown_over = True
        self._end_if_over(instance)

    def _create_host(self, instance: InstanceRecord) -> None:
        source = instance.source.entity
        request = HostRequest(
            instance_id=instance.id,
            agent_token=instance.token,
            user_data=source.userData,
            instance_type=clouds.instance_type(source) or "",
            provider=source.provider.name if source.provider else "",
            region=source.region or "",
            boot_seconds=self._vary(*clouds.startup_time(source, self._kernel.settings)),
        )
        self._kernel.defer(lambda: self._create(request))

    def _create(self, request: HostRequest) -> None:
        try:
            self._hosts.create(request, _Listener(self._kernel, self))
        except Exception as error:
            with self._kernel.locked():
                self.host_gone(request.instance_id, f"the host could not be created: {error}")
            raise

    def _switch_off(self, instance: InstanceRecord, event: Literal["stop", "restart"], reason: str) -> None:
        self._move(instance, event)
        self._events.instance_ending(instance, reason)
        # Its agent will register again, as another platform node.
        instance.node = None
        instance.host_gone = True
        stopper = self._stopper
        if stopper is not None:
            self._kernel.defer(lambda: stopper.stop(instance.id))

    def _switch_on(self, instance: InstanceRecord) -> None:
        instance.host_gone = False
        self._create_host(instance)
        self._events.instance_changed(instance.requirement)

    def _stopped(self, instance: InstanceRecord) -> None:
        if instance.status is InstanceStatus.STOPPING:
            self._move(instance, "stopped")
            self._events.instance_changed(instance.requirement)

    def _after_shutdown(self, instance: InstanceRecord, call: Callable[[], None]) -> None:
        seconds = self._vary(*clouds.shutdown_time(instance.source.entity))
        if seconds > 0:
            self._kernel.after(seconds, call)
        else:
            call()

    def _shutdown_over(self, instance: InstanceRecord) -> None:
        instance.shutdown_over = True
        self._end_if_over(instance)

    def _end_if_over(self, instance: InstanceRecord) -> None:
        if not (instance.host_gone and instance.shutdown_over) or instance.status is InstanceStatus.TERMINATED:
            return
        self._move(instance, "end")
        instance.requirement.live.pop(instance.id, None)
        self._store.instances_by_token.pop(instance.token, None)
        self._retention.of_instance(instance)
        self._events.instance_changed(instance.requirement)

    def _move(self, instance: InstanceRecord, event: InstanceEvent) -> None:
        instance.source.counts[INSTANCE.move(instance, event)] -= 1
        self._note_status(instance)

    def _note_status(self, instance: InstanceRecord) -> None:
        source, now = instance.source, self._kernel.now()
        source.counts[instance.status] += 1
        source.changed.mark(now)
        instance.entity.statusChangedTime = now
        self._kernel.want_pass()

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
                self.terminate(instance, "unexpected termination")
        if source.alive:
            self._start_refreshing(source, requirement)


def _running_of(source: SourceRecord, instances: Iterable[InstanceRecord]) -> list[InstanceRecord]:
    return [i for i in instances if i.source is source and i.status is InstanceStatus.RUNNING]


def _cancel_boot(instance: InstanceRecord) -> None:
    if instance.boot_timer is not None:
        instance.boot_timer.cancel()
        instance.boot_timer = None


class _Listener:
    """Receives the reports of host backends, from any thread."""

    def __init__(self, kernel: Kernel, instances: Instances) -> None:
        self._kernel = kernel
        self._instances = instances

    def host_running(self, instance_id: str, address: HostAddress) -> None:
        with self._kernel.locked():
            self._instances.host_running(instance_id, address)

    def host_gone(self, instance_id: str, reason: str) -> None:
        with self._kernel.locked():
            self._instances.host_gone(instance_id, reason)
