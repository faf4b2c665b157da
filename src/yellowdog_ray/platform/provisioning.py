"""The specification of a provisioned worker pool, and the SDK's objects made from it. Makes no call."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from yellowdog_client.model import (
    AutoShutdown,
    ComputeRequirementTemplateUsage,
    NodeWorkerTarget,
    ProvisionedWorkerPoolProperties,
)

AFTER_LIFETIME = timedelta(minutes=5)
"""From the end of the cluster's lifetime until the platform terminates all instances of a pool. An orderly end is over
by then."""


class Machine(Protocol):
    """The machines of a pool, as a `node_config` describes them."""

    @property
    def template(self) -> str:
        """The compute requirement template: its id, or its `namespace/name`."""

    @property
    def images_id(self) -> str | None:
        """The image, where the template leaves it open."""

    @property
    def instance_tags(self) -> Mapping[str, str] | None:
        """The tags of each machine at its cloud, besides those of the template."""

    @property
    def full_userdata(self) -> str | None:
        """The script that runs at boot."""

    @property
    def metrics_enabled(self) -> bool | None:
        """Whether YellowDog collects metrics."""


@dataclass(frozen=True)
class PoolSpec:
    """A worker pool to be provisioned. Its timeouts are enforced by the platform itself.

    Attributes:
        name: the pool's name, which is its worker tag and its compute requirement's name too.
        tag: the user's tag on the compute requirement.
        machine: the machines.
        nodes: the number of platform nodes to start with.
        max_nodes: the maximum number.
        boot_timeout: from a platform node's provisioning to its registration.
        idle_node_timeout: how long a platform node may have no task.
        idle_pool_timeout: how long the pool may have no task.
    """

    name: str
    tag: str | None
    machine: Machine
    nodes: int
    max_nodes: int
    boot_timeout: timedelta
    idle_node_timeout: timedelta
    idle_pool_timeout: timedelta


def template_usage(spec: PoolSpec, template_id: str, namespace: str) -> ComputeRequirementTemplateUsage:
    """How the pool uses its template."""
    return ComputeRequirementTemplateUsage(
        templateId=template_id,
        requirementName=spec.name,
        requirementNamespace=namespace,
        requirementTag=spec.tag,
        targetInstanceCount=spec.nodes,
        imagesId=spec.machine.images_id,
        userData=spec.machine.full_userdata,
        instanceTags=dict(spec.machine.instance_tags or {}) or None,
        maintainInstanceCount=False,
    )


def pool_properties(spec: PoolSpec) -> ProvisionedWorkerPoolProperties:
    """The pool's own properties."""
    return ProvisionedWorkerPoolProperties(
        createNodeWorkers=NodeWorkerTarget.per_node(1),
        minNodes=0,
        maxNodes=spec.max_nodes,
        nodeBootTimeout=spec.boot_timeout,
        idleNodeShutdown=AutoShutdown(enabled=True, timeout=spec.idle_node_timeout),
        idlePoolShutdown=AutoShutdown(enabled=True, timeout=spec.idle_pool_timeout),
        workerTag=spec.name,
        metricsEnabled=spec.machine.metrics_enabled,
    )
