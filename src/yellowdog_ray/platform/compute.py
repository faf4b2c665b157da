"""Calls of the compute service: templates, machine sizes, compute requirements and their instances."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from datetime import timedelta

from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    AutoShutdown,
    CloudProvider,
    ComputeRequirement,
    ComputeRequirementStaticTemplate,
    ComputeRequirementStatus,
    ComputeRequirementSummary,
    ComputeRequirementSummarySearch,
    ComputeRequirementTemplate,
    ComputeRequirementTemplateUsage,
    Instance,
    InstanceSearch,
    InstanceStatus,
    InstanceType,
    InstanceTypeSearch,
    Node,
    NodeSearch,
)

from yellowdog_ray.platform.account_types import TemplateView
from yellowdog_ray.platform.calls import PAGE_SIZE, Calls, platform_call
from yellowdog_ray.platform.convert_machines import (
    counted_instances,
    instance_id_of,
    named_entry,
    platform_node_view,
    source_messages,
    sources_of,
    template_source,
)
from yellowdog_ray.platform.responses import Responses
from yellowdog_ray.platform.retry import RetryPolicy
from yellowdog_ray.platform.shapes import entity, identified
from yellowdog_ray.platform.types import ComputeView, MachineSize, NamedEntry
from yellowdog_ray.platform.values import size, word_of

TEMPLATE_SECONDS = 30.0
"""How long a template's id is cached: node types often share one, and `ray up` needs it several times."""

_LIVE_INSTANCES = [
    InstanceStatus.PENDING,
    InstanceStatus.RUNNING,
    InstanceStatus.STOPPING,
    InstanceStatus.STOPPED,
    InstanceStatus.TERMINATING,
]
_UNENDED_INSTANCES = [status for status in _LIVE_INSTANCES if status is not InstanceStatus.TERMINATING]


class ComputeCalls(Calls):
    """Templates, machine sizes, compute requirements and instances."""

    def __init__(self, client: PlatformClient, responses: Responses, namespace: str, retry_policy: RetryPolicy) -> None:
        super().__init__(client, responses, namespace, retry_policy)
        self._template_ids: dict[str, tuple[float, str, bool]] = {}
        self._templates: dict[str, tuple[float, TemplateView]] = {}

    @platform_call
    def template_id(self, reference: str) -> str:
        """The id of a compute requirement template, which must exist: one call, or none if it is cached.

        Args:
            reference: its id, or its `namespace/name`.
        """
        read_at, cached, _ = self._template_ids.get(reference, (-math.inf, "", False))
        now = self.retry_policy.monotonic()
        if now - read_at < TEMPLATE_SECONDS:
            return cached
        compute = self._client.compute_client
        subject = f"compute requirement template '{reference}'"
        namespace, _, name = reference.rpartition("/")
        with self._sdk(subject):
            if reference.startswith("ydid:"):
                template = compute.get_compute_requirement_template_by_id(reference)
            else:
                template = compute.get_compute_requirement_template_by_name(namespace, name)
        template = entity(template, ComputeRequirementTemplate, subject)
        found = identified(getattr(template, "id", None), subject)
        self._template_ids[reference] = now, found, isinstance(template, ComputeRequirementStaticTemplate)
        return found

    @platform_call
    def template(self, reference: str) -> TemplateView:
        """A template with its sources: two calls, which create nothing, or none if it is cached."""
        read_at, cached = self._templates.get(reference, (-math.inf, None))
        now = self.retry_policy.monotonic()
        if cached is not None and now - read_at < TEMPLATE_SECONDS:
            return cached
        sources = tuple(template_source(source) for source in self._planned(reference))
        _, _, is_static = self._template_ids[reference]
        found = TemplateView(sources, is_static)
        self._templates[reference] = now, found
        return found

    def _planned(self, template: str, image: str | None = None) -> list[object]:
        """The sources from which a template would provision machines, with this image."""
        usage = ComputeRequirementTemplateUsage(
            templateId=self.template_id(template),
            requirementName="raydog-size",
            requirementNamespace=self.namespace,
            targetInstanceCount=1,
            imagesId=image,
        )
        with self._sdk(f"compute requirement template '{template}'"):
            planned = self._client.compute_client.test_compute_requirement_template(usage).computeRequirement
        return sources_of(planned)

    @platform_call
    def instance_type(self, provider: str | None, name: str) -> MachineSize | None:
        """The size of a cloud's instance type: one call. None if YellowDog has none of that name."""
        providers = [CloudProvider[provider]] if provider else None
        subject = f"instance type '{name}'"
        with self._sdk(subject):
            results = self._client.cloud_info_client.get_instance_types(
                InstanceTypeSearch(providers=providers, name=name)
            )
        for kind in self._items(subject, results, InstanceType):
            # The platform may match parts of names.
            vcpus, mib = size(kind.defaultVcpus), size(kind.ramInMib)
            if kind.name == name and vcpus and mib:
                gpus = kind.defaultGpus or {}
                return MachineSize(vcpus, mib / 1024, sum(gpus.values()), tuple(gpus))
        return None

    @platform_call
    def seen_sizes(self, provider: str | None, instance_type: str) -> list[MachineSize]:
        """The sizes of some platform nodes of an instance type, of any pool that the API key may read: one call."""
        search = NodeSearch(instanceType=instance_type, providers=[CloudProvider[provider]] if provider else None)
        subject = f"the nodes of instance type '{instance_type}'"
        with self._sdk(subject):
            results = self._client.worker_pool_client.get_nodes(search)
        views = [platform_node_view(node) for node in self._items(subject, results, Node, PAGE_SIZE)]
        return [view.size for view in views if view.size]

    @platform_call
    def compute(self, requirement_id: str) -> ComputeView:
        """State of a pool's compute requirement: two calls."""
        requirement = self._requirement(requirement_id)
        instances = self._instances(requirement_id)
        return ComputeView(
            status=word_of(requirement.status),
            finished=requirement.status is ComputeRequirementStatus.TERMINATED,
            live_instances=len(instances),
            counted_instances=counted_instances(requirement, _LIVE_INSTANCES),
            instance_statuses=tuple(sorted({word_of(getattr(instance, "status", None)) for instance in instances})),
            messages=source_messages(requirement),
        )

    @platform_call
    def listed_computes(self, name_part: str) -> list[NamedEntry]:
        """The compute requirements of the namespace whose names may contain this, ended ones too: one call per page."""
        subject = f"the compute requirements named '{name_part}'"
        with self._sdk(subject):
            results = self._client.compute_client.get_compute_requirement_summaries(
                ComputeRequirementSummarySearch(namespaces=[self.namespace], name=name_part)
            )
        return [named_entry(requirement) for requirement in self._items(subject, results, ComputeRequirementSummary)]

    @platform_call
    def end_compute_after(self, requirement_id: str, time: timedelta) -> None:
        """Let the platform itself terminate a compute requirement, this long from now."""
        end = AutoShutdown(enabled=True, timeout=time)
        with self._sdk(f"compute requirement {requirement_id}"):
            self._client.compute_client.update_compute_requirement_auto_shutdown(requirement_id, end)

    @platform_call
    def terminate_compute(self, requirement_id: str) -> None:
        """Terminate every instance of a compute requirement at once."""
        with self._sdk(f"compute requirement {requirement_id}"):
            self._client.compute_client.terminate_compute_requirement_by_id(requirement_id)

    @platform_call
    def terminate_instance(self, requirement_id: str, instance_id: str) -> None:
        """Terminate one instance at once: two calls, and one per page of the requirement's instances.

        One that is gone already is no error.
        """
        self._terminate(requirement_id, {instance_id}, _LIVE_INSTANCES)

    @platform_call
    def terminate_instances(self, requirement_id: str, instance_ids: Collection[str]) -> list[str]:
        """Terminate instances at once: one call per page of the requirement's instances, and two if any is alive.

        Returns:
            The ids of those that were alive and not terminating yet.
        """
        return self._terminate(requirement_id, instance_ids, _UNENDED_INSTANCES)

    def _terminate(
        self, requirement_id: str, instance_ids: Collection[str], statuses: Sequence[InstanceStatus]
    ) -> list[str]:
        ids = [instance_id_of(instance) for instance in self._instances(requirement_id, statuses)]
        matching = [id_ for id_ in ids if id_ and id_.instanceId in instance_ids]
        if not matching:
            return []
        requirement = self._requirement(requirement_id)
        names = [str(id_.instanceId) for id_ in matching]
        with self._sdk(f"instance {', '.join(names)}"):
            self._client.compute_client.terminate_instances_by_id(requirement, matching)
        return names

    def _requirement(self, requirement_id: str) -> ComputeRequirement:
        subject = f"compute requirement {requirement_id}"
        with self._sdk(subject):
            found = self._client.compute_client.get_compute_requirement_by_id(requirement_id)
        return entity(found, ComputeRequirement, subject)

    def _instances(self, requirement_id: str, statuses: Sequence[InstanceStatus] = _LIVE_INSTANCES) -> list[Instance]:
        search = InstanceSearch(computeRequirementId=requirement_id, statuses=list(statuses))
        subject = f"the instances of compute requirement {requirement_id}"
        with self._sdk(subject):
            results = self._client.compute_client.get_instances(search)
        return list(self._items(subject, results, Instance))
