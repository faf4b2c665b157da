"""Calls that concern several clusters: the key's application, and lists of all work, pools and compute requirements.

A search takes one namespace or none, so each list takes one call per namespace and page.
"""

from __future__ import annotations

from collections.abc import Sequence

from yellowdog_client.model import (
    ApplicationDetails,
    ComputeRequirement,
    ComputeRequirementSearch,
    ComputeRequirementStatus,
    Namespace,
    NamespaceSearch,
    WorkerPoolSearch,
    WorkerPoolStatus,
    WorkerPoolSummary,
    WorkRequirementSearch,
    WorkRequirementStatus,
    WorkRequirementSummary,
)

from yellowdog_ray.platform.calls import Calls, entity, platform_call
from yellowdog_ray.platform.convert import compute_entry, identified, pool_entry, work_entry
from yellowdog_ray.platform.types import Application, ComputeEntry, PoolEntry, WorkRequirementEntry

Namespaces = Sequence[str] | None
"""The namespaces of a search; None for all that the key can read."""

_USER = "ydid:user:"
_LIVE_WORK = [status for status in WorkRequirementStatus if not status.finished]
_LIVE_POOLS: list[WorkerPoolStatus] = [
    status for status in WorkerPoolStatus if status not in (WorkerPoolStatus.SHUTDOWN, WorkerPoolStatus.TERMINATED)
]
_LIVE_COMPUTES: list[ComputeRequirementStatus] = [
    status for status in ComputeRequirementStatus if status is not ComputeRequirementStatus.TERMINATED
]


class AccountCalls(Calls):
    """What the API key can see beyond one cluster."""

    @platform_call
    def application(self) -> Application:
        """The application that the key belongs to: one call."""
        subject = "the application's details"
        with self._sdk(subject):
            found = self._client.application_client.get_application_details()
        details = entity(found, ApplicationDetails, subject)
        readable = None if details.allNamespacesReadable else tuple(details.readableNamespaces or ())
        return Application(str(details.id), str(details.name), readable)

    @platform_call
    def has_namespace(self, name: str) -> bool:
        """Whether the account has a namespace of this name: one call per page."""
        subject = "the namespaces"
        with self._sdk(subject):
            results = self._client.namespaces_client.get_namespaces(NamespaceSearch(namespaces=[name]))
        return any(entry.namespace == name for entry in self._items(subject, results, Namespace))

    @platform_call
    def creator_name(self, creator_id: str) -> str:
        """The name of an application or user, by its id: one call."""
        account, subject = self._client.account_client, f"the name of {creator_id}"
        with self._sdk(subject):
            is_user = creator_id.startswith(_USER)
            found: object = account.get_user(creator_id) if is_user else account.get_application(creator_id)
        return identified(getattr(found, "name", None), subject)

    @platform_call
    def all_work(
        self, namespaces: Namespaces, name_part: str | None = None, *, finished: bool = False
    ) -> list[WorkRequirementEntry]:
        """The work requirements of these namespaces.

        Args:
            namespaces: the namespaces.
            name_part: a part that their names contain; the platform may match more than that.
            finished: also those that have ended.
        """
        statuses = None if finished else _LIVE_WORK
        found: list[WorkRequirementEntry] = []
        for namespace in _each(namespaces):
            search = WorkRequirementSearch(namespace=namespace, name=name_part, statuses=statuses)
            subject = "the work requirements"
            with self._sdk(subject):
                results = self._client.work_client.get_work_requirements(search)
            found += map(work_entry, self._items(subject, results, WorkRequirementSummary))
        return [entry for entry in found if _is_in(entry.namespace, namespaces)]

    @platform_call
    def live_pools(self, namespaces: Namespaces, name_part: str | None = None) -> list[PoolEntry]:
        """The worker pools of these namespaces that have not ended."""
        return self._pools(namespaces, name_part, _LIVE_POOLS)

    @platform_call
    def all_pools(self, namespaces: Namespaces, name_part: str | None = None) -> list[PoolEntry]:
        """The worker pools of these namespaces, ended ones too."""
        return self._pools(namespaces, name_part, None)

    @platform_call
    def live_computes(self, namespaces: Namespaces, name_part: str | None = None) -> list[ComputeEntry]:
        """The compute requirements of these namespaces that have not ended."""
        return self._computes(namespaces, name_part, _LIVE_COMPUTES)

    @platform_call
    def all_computes(self, namespaces: Namespaces, name_part: str | None = None) -> list[ComputeEntry]:
        """The compute requirements of these namespaces, ended ones too."""
        return self._computes(namespaces, name_part, None)

    def _pools(
        self, namespaces: Namespaces, name_part: str | None, statuses: list[WorkerPoolStatus] | None
    ) -> list[PoolEntry]:
        found: list[PoolEntry] = []
        for namespace in _each(namespaces):
            within = [namespace] if namespace else None
            search = WorkerPoolSearch(namespaces=within, name=name_part, statuses=statuses)
            subject = "the worker pools"
            with self._sdk(subject):
                results = self._client.worker_pool_client.get_worker_pools(search)
            found += map(pool_entry, self._items(subject, results, WorkerPoolSummary))
        return [entry for entry in found if _is_in(entry.namespace, namespaces)]

    def _computes(
        self, namespaces: Namespaces, name_part: str | None, statuses: list[ComputeRequirementStatus] | None
    ) -> list[ComputeEntry]:
        found: list[ComputeEntry] = []
        for namespace in _each(namespaces):
            search = ComputeRequirementSearch(namespace=namespace, name=name_part, statuses=statuses)
            subject = "the compute requirements"
            with self._sdk(subject):
                results = self._client.compute_client.get_compute_requirements(search)
            found += map(compute_entry, self._items(subject, results, ComputeRequirement))
        return [entry for entry in found if _is_in(entry.namespace, namespaces)]


def _each(namespaces: Namespaces) -> Sequence[str | None]:
    return (None,) if namespaces is None else namespaces


def _is_in(namespace: str, namespaces: Namespaces) -> bool:
    return namespaces is None or namespace in namespaces
