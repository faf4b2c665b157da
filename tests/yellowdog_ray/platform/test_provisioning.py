"""A pool's specification, and the SDK's objects made from it."""

from dataclasses import replace
from datetime import timedelta

from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.platform.provisioning import PoolSpec, pool_properties, template_usage

MACHINE = NodeConfig(
    compute_requirement_template="demo/local",
    images_id="image",
    metrics_enabled=True,
    userdata="echo hello",
    instance_tags={"a": "b"},
)
SPEC = PoolSpec(
    name="demo-cpu-12345678",
    tag="mine",
    machine=MACHINE,
    nodes=3,
    max_nodes=10,
    boot_timeout=timedelta(minutes=10),
    idle_node_timeout=timedelta(seconds=20),
    idle_pool_timeout=timedelta(hours=1),
)

NOT_SENT = {
    "compute_requirement_template": "its id is an argument of `template_usage`",
    "worker_pool": "RayDog provisions no machines for a configured pool",
}
"""Keys of `node_config` that the specification of a pool does not contain, and why."""


def test_template_usage_has_the_machines_of_node_config():
    usage = template_usage(SPEC, "ydid:crt:1", "demo")

    assert (usage.templateId, usage.requirementName, usage.requirementNamespace) == ("ydid:crt:1", SPEC.name, "demo")
    assert (usage.requirementTag, usage.targetInstanceCount) == ("mine", 3)
    assert (usage.imagesId, usage.userData) == ("image", "#!/bin/bash\necho hello\n")
    assert usage.instanceTags == {"a": "b"}
    assert usage.maintainInstanceCount is False


def test_pool_properties_have_every_timeout_and_one_worker_per_node():
    properties = pool_properties(SPEC)

    assert properties.workerTag == SPEC.name
    assert (properties.minNodes, properties.maxNodes) == (0, 10)
    assert properties.nodeBootTimeout == timedelta(minutes=10)
    assert (properties.idleNodeShutdown.enabled, properties.idleNodeShutdown.timeout) == (True, timedelta(seconds=20))
    assert (properties.idlePoolShutdown.enabled, properties.idlePoolShutdown.timeout) == (True, timedelta(hours=1))
    assert properties.createNodeWorkers.targetCount == 1
    assert properties.metricsEnabled is True


def test_each_key_of_node_config_is_sent():
    read = set()

    class Watched(NodeConfig):
        def __getattribute__(self, name):
            read.add(name)
            return super().__getattribute__(name)

    spec = replace(SPEC, machine=Watched(**MACHINE.model_dump()))
    read.clear()
    template_usage(spec, "ydid:crt:1", "demo")
    pool_properties(spec)

    assert NodeConfig.model_fields.keys() - read == NOT_SENT.keys()
