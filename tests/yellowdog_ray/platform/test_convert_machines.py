"""Conversions of platform nodes, worker pools and compute requirements to RayDog's views."""

from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from yellowdog_client.model import (
    CloudProvider,
    ConfiguredWorkerPool,
    InstanceStatus,
    Node,
    NodeDetails,
    NodeStatus,
    ProvisionedWorkerPool,
    Worker,
    WorkerPoolStatus,
)

from tests.yellowdog_ray.platform.entities import NO_OBJECTS, filled
from yellowdog_ray.errors import MalformedResponse
from yellowdog_ray.platform.convert_machines import (
    counted_instances,
    platform_node_view,
    pool_view,
    source_messages,
    sources_of,
)
from yellowdog_ray.platform.types import MachineSize

NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


class TestPlatformNode:
    @pytest.mark.parametrize("workers", [*([part] for part in NO_OBJECTS), "x", 5])
    def test_worker_that_is_no_object_is_malformed(self, workers):
        with pytest.raises(MalformedResponse):
            platform_node_view(self.node(workers=workers))

    def node(self, **fields):
        details = filled(
            object.__new__(NodeDetails),
            instanceId="i-1",
            privateIpAddress="10.0.0.1",
            publicIpAddress="1.2.3.4",
            provider=CloudProvider.AWS,
            supportedTaskTypes=["bash"],
            vcpus=4.0,
            ram=16.0,
        )
        workers = [filled(Worker(), status=each) for each in (None, SimpleNamespace(available=False))]
        known = {"id": "n-1", "workerPoolId": "p-1", "details": details, "status": NodeStatus.RUNNING}
        return filled(Node(), **{**known, "workers": workers, "preemptionWarningTime": None, **fields})

    def test_view_has_all_fields(self):
        view = platform_node_view(self.node(preemptionWarningTime=NOW))

        assert (view.id, view.pool_id, view.instance_id) == ("n-1", "p-1", "i-1")
        assert (view.private_ip, view.public_ip, view.provider) == ("10.0.0.1", "1.2.3.4", "AWS")
        assert (view.spot_notice, view.task_types, view.slots) == (NOW, ("bash",), 1)
        assert view.size == MachineSize(4.0, 16.0)

    def test_view_without_details_has_no_address(self):
        view = platform_node_view(self.node(details=None, workers=None))

        assert (view.instance_id, view.private_ip, view.public_ip, view.provider) == ("", None, None, None)
        assert (view.size, view.task_types, view.slots) == (None, (), 0)

    @pytest.mark.parametrize("missing", ["vcpus", "ram"])
    def test_size_needs_cpus_and_memory(self, missing):
        node = self.node()
        setattr(node.details, missing, None)

        assert platform_node_view(node).size is None

    @pytest.mark.parametrize(
        ("status", "alive"), [(NodeStatus.RUNNING, True), (NodeStatus.LATE, True), (NodeStatus.TERMINATED, False)]
    )
    def test_node_is_alive_by_its_status(self, status, alive):
        assert platform_node_view(self.node(status=status)).alive == alive

    def test_missing_id_is_malformed(self):
        with pytest.raises(MalformedResponse, match="a platform node: no id or name"):
            platform_node_view(self.node(id=None))


class TestPool:
    def pool(self, kind, **fields):
        properties = SimpleNamespace(workerTag="tag", maxNodes=7)
        known = {"id": "p-1", "name": "ray", "namespace": "ns", "status": WorkerPoolStatus.RUNNING}
        pool = object.__new__(kind)
        return filled(pool, **{**known, "properties": properties, "computeRequirementId": "c-1", **fields})

    def test_provisioned_pool_has_a_compute_requirement(self):
        view = pool_view(self.pool(ProvisionedWorkerPool))

        assert (view.id, view.name, view.namespace, view.status) == ("p-1", "ray", "ns", "RUNNING")
        assert (view.compute_requirement_id, view.configured, view.worker_tag, view.max_nodes) == (
            "c-1", False, "tag", 7,
        )  # fmt: skip

    def test_configured_pool_has_none(self):
        view = pool_view(self.pool(ConfiguredWorkerPool, properties=SimpleNamespace(workerTag="")))

        assert (view.compute_requirement_id, view.configured) == (None, True)
        assert (view.worker_tag, view.max_nodes) == (None, None)

    def test_pool_without_properties_has_no_tag(self):
        assert pool_view(self.pool(ConfiguredWorkerPool, properties=None)).worker_tag is None

    @pytest.mark.parametrize(
        ("status", "finished"),
        [
            (WorkerPoolStatus.RUNNING, False),
            (WorkerPoolStatus.SHUTDOWN, True),
            (WorkerPoolStatus.TERMINATED, True),
        ],
    )
    def test_pool_is_finished_by_its_status(self, status, finished):
        assert pool_view(self.pool(ProvisionedWorkerPool, status=status)).finished == finished

    def test_missing_id_is_malformed(self):
        with pytest.raises(MalformedResponse, match="a worker pool: no id or name"):
            pool_view(self.pool(ProvisionedWorkerPool, id=None))

    def test_other_entity_is_malformed(self):
        with pytest.raises(MalformedResponse, match="Node in place of a worker pool"):
            pool_view(Node())


class TestComputeRequirement:
    @pytest.mark.parametrize("part", NO_OBJECTS)
    @pytest.mark.parametrize("read", [sources_of, source_messages, lambda found: counted_instances(found, [])])
    def test_source_that_is_no_object_is_malformed(self, read, part):
        with pytest.raises(MalformedResponse):
            read(self.requirement(SimpleNamespace(), part))

    def test_source_of_an_unknown_kind_may_lack_attributes(self):
        requirement = self.requirement(SimpleNamespace())

        assert source_messages(requirement) == ()
        assert counted_instances(requirement, [InstanceStatus.RUNNING]) == 0

    def requirement(self, *sources):
        return SimpleNamespace(provisionStrategy=SimpleNamespace(sources=list(sources)))

    def test_messages_are_those_of_all_sources(self):
        sources = [SimpleNamespace(statusMessage=text) for text in ("no capacity", None, "no quota")]

        assert source_messages(self.requirement(*sources)) == ("no capacity", "no quota")
        assert source_messages(SimpleNamespace(provisionStrategy=None)) == ()

    def test_instances_are_counted_over_all_sources(self):
        counts = [{InstanceStatus.RUNNING: 2, InstanceStatus.TERMINATED: 5}, {InstanceStatus.PENDING: 1}, None]
        sources = [SimpleNamespace(instanceSummary=SimpleNamespace(statusCounts=each)) for each in counts]
        sources.append(SimpleNamespace(instanceSummary=None))

        live = [InstanceStatus.RUNNING, InstanceStatus.PENDING]

        assert counted_instances(self.requirement(*sources), live) == 3
        assert counted_instances(SimpleNamespace(provisionStrategy=None), live) == 0
