"""Calls that concern several clusters: the key's application, and lists of all work, pools and compute requirements.

A search takes one namespace or none, so each list takes one call per namespace and page.
"""

from __future__ import annotations

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
    WorkRequirementSummary,
)

from yellowdog_ray.platform.account_types import Application
from yellowdog_ray.platform.calls import Calls, Namespaces, platform_call
from yellowdog_ray.platform.convert import work_entry
from yellowdog_ray.platform.convert_machines import ENDED_POOLS, compute_entry, pool_entry
from yellowdog_ray.platform.shapes import entity, identified
from yellowdog_ray.platform.types import ComputeEntry, PoolEntry, WorkRequirementEntry
from yellowdog_ray.platform.work import work_search

_USER = "ydid:user:"
_LIVE_POOLS = [status for status in WorkerPoolStatus if status not in ENDED_POOLS]
_LIVE_COMPUTES: list[ComputeRequirementStatus] = [
    status for status in ComputeRequirementStatus if status is not ComputeRequirementStatus.TERMINATED
]


class AccountCalls(Calls):
    """Calls about everything beyond one cluster that the API key can see."""

    @platform_call
    def application(self) -> Application:
        """The application that the key belongs to: one call."""
        subject = "the application's details"
        with self._sdk(subject):
            found = self._client.application_client.get_application_details()
        details = entity(found, ApplicationDetails, subject)
        readable = None if details.allNamespacesReadable else tuple(details.readableNamespaces or ())
        return Application(str(details.id), str(details.name), readable, str(details.accountName or ""))

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
        return self._listed(
            "the work requirements",
            namespaces,
            lambda namespace: self._client.work_client.get_work_requirements(
                work_search(namespace, name_part, finished=finished)
            ),
            WorkRequirementSummary,
            work_entry,
        )

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
        return self._listed(
            "the worker pools",
            namespaces,
            lambda namespace: self._client.worker_pool_client.get_worker_pools(
                WorkerPoolSearch(namespaces=[namespace] if namespace else None, name=name_part, statuses=statuses)
            ),
            WorkerPoolSummary,
            pool_entry,
        )

    def _computes(
        self, namespaces: Namespaces, name_part: str | None, statuses: list[ComputeRequirementStatus] | None
    ) -> list[ComputeEntry]:
        return self._listed(
            "the compute requirements",
            namespaces,
            lambda namespace: self._client.compute_client.get_compute_requirements(
                ComputeRequirementSearch(namespace=namespace, name=name_part, statuses=statuses)
            ),
            ComputeRequirement,
            compute_entry,
        )
