"""Labels of machines reach both Ray's autoscaler, which selects a node type by them, and the nodes themselves."""

import pytest
from yellowdog_client.model import (
    AwsInstancesComputeSource,
    ComputeRequirementStaticTemplate,
    ComputeSourceTemplate,
    ComputeSourceUsage,
)

from tests.simulation.config import cluster_config, node_type
from tests.simulation.conftest import CLUSTER
from tests.simulation.raylets import Demand
from yellowdog_ray.provider import RayDogNodeProvider

SPOT = {
    "ray.io/market-type": "spot",
    "ray.io/availability-region": "eu-west-2",
    "ray.io/availability-zone": "eu-west-2b",
}


def add_spot_template(lab) -> None:
    source = AwsInstancesComputeSource(
        name="spot",
        credential="k/c",
        region="eu-west-2",
        availabilityZone="eu-west-2b",
        securityGroupId="sg",
        instanceType="m5.xlarge",
        imageId="ami",
        spot=True,
    )
    templates = lab.platform.templates
    kept = templates.add_source(ComputeSourceTemplate(source=source, namespace="demo"))
    strategy = "co.yellowdog.platform.model.SingleSourceProvisionStrategy"
    usages = [ComputeSourceUsage(sourceTemplateId=kept.id or "")]
    templates.add_requirement(ComputeRequirementStaticTemplate("spot", strategy, usages, namespace="demo"))


@pytest.mark.parametrize("kind", ["v2"])  # v1 reads no labels
def test_selector_of_a_market_launches_the_node_type_whose_template_has_it(platform_only):
    world = platform_only
    add_spot_template(world.lab)
    node_types = {
        "head": node_type(resources={"CPU": 0}, max_workers=0),
        "steady": node_type(max_workers=9),
        "cheap": node_type("demo/spot", max_workers=9, labels={"team": "a"}),
    }
    with world.processes.inside(world.laptop("ray up")):
        yaml = cluster_config(CLUSTER, world.key, available_node_types=node_types)
        world.yaml = RayDogNodeProvider.fillout_available_node_types_resources(yaml)
    world.ours.begin()
    assert world.up()

    world.want(Demand({"CPU": 1}, 2, SPOT))
    world.ticks(5)

    assert (len(world.listed("cheap")), world.listed("steady")) == (2, set())
    assert [raylet.labels for raylet in world.ray.workers] == [{**SPOT, "team": "a"}] * 2
    assert world.ray.pending == []
