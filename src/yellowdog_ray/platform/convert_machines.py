"""Converts platform nodes, worker pools and compute requirements of the SDK to views. Makes no call.

As in `convert`, conversions run outside `sdk_errors`.
"""

from __future__ import annotations

from collections.abc import Collection

from yellowdog_client.model import (
    ComputeRequirement,
    ComputeRequirementStatus,
    ComputeRequirementSummary,
    ConfiguredWorkerPool,
    Instance,
    InstanceId,
    InstanceStatus,
    Node,
    NodeDetails,
    NodeStatus,
    ProvisionedWorkerPool,
    Worker,
    WorkerPoolStatus,
    WorkerPoolSummary,
)

from yellowdog_ray.platform.account_types import TemplateSource
from yellowdog_ray.platform.errors import malformed
from yellowdog_ray.platform.shapes import NO_OBJECTS, entity, identified, parts
from yellowdog_ray.platform.types import (
    ComputeEntry,
    MachineSize,
    NamedEntry,
    PlatformNodeView,
    PoolEntry,
    PoolView,
)
from yellowdog_ray.platform.values import first_of, moment, size, word_of

LIVE_NODES = [NodeStatus.RUNNING, NodeStatus.LATE]
ENDED_POOLS = (WorkerPoolStatus.SHUTDOWN, WorkerPoolStatus.TERMINATED)


def platform_node_view(node: Node) -> PlatformNodeView:
    """The view of a platform node."""
    details = node.details
    return PlatformNodeView(
        id=identified(node.id, "a platform node"),
        pool_id=str(node.workerPoolId),
        instance_id=details.instanceId if details else "",
        private_ip=details.privateIpAddress if details else None,
        public_ip=details.publicIpAddress if details else None,
        provider=word_of(details.provider) if details and details.provider else None,
        spot_notice=moment(node.preemptionWarningTime),
        alive=node.status in LIVE_NODES,
        task_types=tuple(details.supportedTaskTypes or ()) if details else (),
        size=_size(details),
        slots=sum(
            worker.status is None or worker.status.available
            for worker in parts(node.workers, Worker, "the workers of a platform node")
        ),
        instance_type=details.instanceType if details else None,
        region=details.region if details else None,
        spot=details.spot if details else None,
        status=word_of(node.status) if node.status else "",
        status_changed=moment(node.statusChangedTime),
    )


def _size(details: NodeDetails | None) -> MachineSize | None:
    vcpus, ram = size(getattr(details, "vcpus", None)), size(getattr(details, "ram", None))
    return MachineSize(vcpus, ram) if vcpus and ram else None


def pool_view(pool: object) -> PoolView:
    """The view of a worker pool.

    Raises:
        MalformedResponse: it is neither a provisioned nor a configured pool.
    """
    if not isinstance(pool, (ProvisionedWorkerPool, ConfiguredWorkerPool)):
        raise malformed(f"{type(pool).__name__} in place of a worker pool")
    status = pool.status
    return PoolView(
        id=identified(pool.id, "a worker pool"),
        name=str(pool.name),
        status=word_of(status),
        finished=status in ENDED_POOLS,
        compute_requirement_id=pool.computeRequirementId if isinstance(pool, ProvisionedWorkerPool) else None,
        configured=isinstance(pool, ConfiguredWorkerPool),
        namespace=str(pool.namespace),
        worker_tag=(pool.properties.workerTag or None) if pool.properties else None,
        max_nodes=getattr(pool.properties, "maxNodes", None) or None,  # a configured pool has none
    )


def named_entry(listed: WorkerPoolSummary | ComputeRequirementSummary) -> NamedEntry:
    """The entry of a worker pool or compute requirement in a search's list."""
    subject = f"a listed {type(listed).__name__}"
    return NamedEntry(identified(listed.id, subject), identified(listed.name, subject))


def pool_entry(pool: WorkerPoolSummary) -> PoolEntry:
    """The entry of a worker pool in a search of several namespaces."""
    subject = "a listed worker pool"
    return PoolEntry(
        id=identified(pool.id, subject),
        namespace=identified(pool.namespace, subject),
        name=identified(pool.name, subject),
        status=word_of(pool.status),
        finished=pool.status in ENDED_POOLS,
        created=moment(pool.createdTime),
        configured=word_of(pool.type).endswith(ConfiguredWorkerPool.__name__),
        status_changed=moment(pool.statusChangedTime),
    )


def compute_entry(requirement: ComputeRequirement) -> ComputeEntry:
    """The entry of a compute requirement in a search of several namespaces."""
    return ComputeEntry(
        id=identified(requirement.id, "a compute requirement"),
        namespace=requirement.namespace,
        name=requirement.name,
        status=word_of(requirement.status),
        finished=requirement.status is ComputeRequirementStatus.TERMINATED,
        created=moment(requirement.createdTime),
        creator=requirement.createdById,
        instances=live_instances(requirement),
        messages=source_messages(requirement),
        status_changed=moment(requirement.statusChangedTime),
        exhausted=_exhausted_sources(requirement),
    )


def live_instances(requirement: ComputeRequirement) -> dict[str, int]:
    """The numbers of instances that have not ended, by status, as the sources of a compute requirement count them."""
    statuses = [status for status in InstanceStatus if status is not InstanceStatus.TERMINATED]
    counts = {word_of(status): counted_instances(requirement, [status]) for status in statuses}
    return {status: count for status, count in counts.items() if count}


def instance_id_of(instance: Instance) -> InstanceId | None:
    """An instance's id, or None where the platform gives none."""
    return getattr(instance, "id", None)  # the SDK omits attributes that an unknown kind of instance lacks


def source_messages(requirement: ComputeRequirement) -> tuple[str, ...]:
    """The errors that the sources of a compute requirement report."""
    messages = (getattr(source, "statusMessage", None) for source in sources_of(requirement))
    return tuple(str(message) for message in messages if message)


def _exhausted_sources(requirement: ComputeRequirement) -> tuple[str, ...]:
    """Name and state of each source whose allowance is used up."""
    found = [(getattr(source, "name", None), getattr(source, "exhaustion", None)) for source in sources_of(requirement)]
    states = [(name, getattr(exhaustion, "status", None)) for name, exhaustion in found]
    return tuple(f"source {name}: {word_of(status)}" for name, status in states if status is not None)


def sources_of(requirement: ComputeRequirement | None) -> list[object]:
    """The sources of a compute requirement. Each kind has its own class, and an unknown kind may lack attributes.

    Raises:
        MalformedResponse: one of them is no object.
    """
    strategy = getattr(requirement, "provisionStrategy", None)
    sources = parts(getattr(strategy, "sources", None), object, "the sources of a compute requirement")
    if any(source is None or isinstance(source, NO_OBJECTS) for source in sources):
        raise malformed("the sources of a compute requirement: a source that is no object")
    return sources


def template_source(source: object) -> TemplateSource:
    """The machines of a source. Each cloud has its own names for the same things."""
    provider = getattr(source, "provider", None)
    return TemplateSource(
        provider=word_of(provider) if provider else None,
        instance_type=first_of(source, "instanceType", "machineType", "vmSize", "shape"),
        region=first_of(source, "region"),
        zone=first_of(source, "availabilityZone", "zone", "availabilityDomain"),
        spot=_is_spot(source),
    )


def _is_spot(source: object) -> bool | None:
    pricing = getattr(source, "instancePricing", None)
    if pricing is not None:
        return {"SPOT_ONLY": True, "ON_DEMAND_ONLY": False}.get(word_of(pricing))
    flags = [getattr(source, name) for name in ("spot", "useSpot", "preemptible") if hasattr(source, name)]
    return any(flags) if flags else None


def counted_instances(requirement: ComputeRequirement, statuses: Collection[InstanceStatus]) -> int:
    """How many instances of these statuses the sources of a compute requirement count."""
    summaries = [getattr(source, "instanceSummary", None) for source in sources_of(requirement)]
    counts = [getattr(summary, "statusCounts", None) or {} for summary in summaries]
    return sum(
        entity(count, int, "the counts of a source")
        for of_source in counts
        for status, count in of_source.items()
        if status in statuses
    )
