"""Resources that the YAML does not state: from the cloud, from nodes that were seen, from machines that are there."""

import pytest
from yellowdog_client.model import (
    AwsInstancesComputeSource,
    ComputeRequirementStaticTemplate,
    ComputeSourceTemplate,
    ComputeSourceUsage,
)

from tests.own_machines import configured_pool
from tests.yellowdog_ray.cluster_lab import BOOT
from tests.yellowdog_ray.ray_cli import assert_refused, everything_on, ray
from yellowdog_local.faults.rules import Status
from yellowdog_ray.provider import RayDogNodeProvider

GIB = 2**30


@pytest.fixture
def yaml(cluster_yaml, in_a_users_folder):
    """A YAML whose workers' resources are not stated."""
    del cluster_yaml["available_node_types"]["worker"]["resources"]
    return cluster_yaml


def from_aws(platform, *instance_types: str) -> str:
    """A template that has a source for each of these instance types."""
    with platform.platform.locked():
        templates = platform.platform.templates
        usages = []
        for number, instance_type in enumerate(instance_types):
            source = AwsInstancesComputeSource(
                name=f"source-{number}",
                credential="k/c",
                region="eu-west-2",
                securityGroupId="sg",
                instanceType=instance_type,
                imageId="ami",
            )
            kept = templates.add_source(ComputeSourceTemplate(source=source, namespace="demo"))
            usages.append(ComputeSourceUsage(sourceTemplateId=kept.id or ""))
        strategy = "co.yellowdog.platform.model.SplitProvisionStrategy"
        templates.add_requirement(ComputeRequirementStaticTemplate("aws", strategy, usages, namespace="demo"))
    return "demo/aws"


def use(yaml, **node_config: str) -> None:
    yaml["available_node_types"]["worker"]["node_config"] = node_config


def filled(yaml) -> dict[str, int]:
    node_types = RayDogNodeProvider.fillout_available_node_types_resources(yaml)["available_node_types"]
    return dict(node_types["worker"]["resources"])


class TestWhatIsFilledIn:
    def test_what_the_instance_type_has(self, platform, yaml):
        use(yaml, compute_requirement_template=from_aws(platform, "g4dn.xlarge"))

        assert filled(yaml) == {"CPU": 4, "GPU": 1, "memory": int(16 * GIB * 0.7)}

    def test_of_several_instance_types_what_each_of_them_has(self, platform, yaml):
        use(yaml, compute_requirement_template=from_aws(platform, "g4dn.xlarge", "c5.large"))

        assert filled(yaml) == {"CPU": 2, "memory": int(4 * GIB * 0.7)}

    def test_what_a_node_of_that_type_has_said_that_was_seen_before(self, platform, yaml):
        make_cluster({**yaml, "available_node_types": {**yaml["available_node_types"], "worker": WORKER}})
        platform.advance(BOOT)

        assert filled(yaml) == {"CPU": 2, "memory": int(4 * GIB * 0.7)}

    def test_a_key_that_may_not_ask_for_instance_types_asks_the_nodes(self, platform, yaml):
        make_cluster({**yaml, "available_node_types": {**yaml["available_node_types"], "worker": WORKER}})
        platform.advance(BOOT)

        with platform.faults.during(Status(call="GET /cloudInfo/instanceTypes", status=403)):
            assert filled(yaml)["CPU"] == 2

    def test_what_every_machine_of_a_configured_pool_has(self, platform, yaml):
        configured_pool(platform, vcpus=16, ram=64)
        use(yaml, worker_pool="demo/own")

        assert filled(yaml) == {"CPU": 16, "memory": int(64 * GIB * 0.7)}

    def test_what_is_stated_stays_and_costs_no_call(self, platform, yaml, calls):
        yaml["available_node_types"]["worker"]["resources"] = {}

        made = calls.during(lambda: RayDogNodeProvider.fillout_available_node_types_resources(yaml))

        assert made == []
        assert filled(yaml) == {}

    def test_nothing_is_made_for_it(self, platform, yaml):
        use(yaml, compute_requirement_template=from_aws(platform, "c5.large"))

        filled(yaml)

        assert everything_on(platform) == (0, 0, 0)
        assert platform.platform.store.requirements == {}


WORKER = {"resources": {"CPU": 1}, "node_config": {"compute_requirement_template": "demo/local"}}


def make_cluster(config) -> None:
    """A cluster whose head comes up: its machine is then one that was seen."""
    config = RayDogNodeProvider.bootstrap_config(config)
    provider = RayDogNodeProvider(config["provider"], config["cluster_name"])
    tags = {"ray-node-type": "head", "ray-user-node-type": "head", "ray-node-status": "uninitialized"}
    provider.create_node(config["available_node_types"]["head"]["node_config"], tags, 1)


class TestRayUp:
    def test_it_says_what_was_filled_in(self, platform, yaml, in_a_users_folder, monkeypatch):
        use(yaml, compute_requirement_template=from_aws(platform, "m5.xlarge"))
        stop_before_the_head(monkeypatch)

        result = ray("up", yaml, in_a_users_folder, "-y")

        said = "node type 'worker' offers CPU: 4, memory: 11.2 GiB, from instance type m5.xlarge"
        assert said in result.output
        assert result.output.count("m5.xlarge") == 1
        assert "Traceback" not in result.output

    def test_what_cannot_be_known_is_refused_before_anything_is_made(
        self,
        platform,
        yaml,
        in_a_users_folder,
        monkeypatch,
    ):
        stop_before_the_head(monkeypatch)

        result = ray("up", yaml, in_a_users_folder, "-y")

        assert_refused(
            result,
            platform,
            "cluster.yaml: available_node_types.worker.resources is missing, and YellowDog cannot tell",
            "no instance type 'sim-instance', and shows no platform node of that type",
            "Write it, for example `resources: {CPU: 4}`",
        )

    def test_a_template_that_is_not_there_is_told_as_such(self, platform, yaml, in_a_users_folder):
        use(yaml, compute_requirement_template="demo/gone")

        result = ray("up", yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "available_node_types.worker.node_config.compute_requirement_template")

    def test_other_commands_do_not_need_to_know(self, platform, yaml, in_a_users_folder):
        result = ray("down", yaml, in_a_users_folder, "-y")

        assert result.exit_code == 0, result.output

    def test_more_than_the_machines_have_is_told(self, platform, yaml, in_a_users_folder, monkeypatch):
        use(yaml, compute_requirement_template=from_aws(platform, "m5.xlarge"))
        yaml["available_node_types"]["worker"]["resources"] = {"CPU": 8, "GPU": 1}
        stop_before_the_head(monkeypatch)

        result = ray("up", yaml, in_a_users_folder, "-y")

        text = "available_node_types.worker.resources has CPU: 8 where 4 is there, GPU: 1 where 0 is there"
        assert text in result.output
        assert result.output.count("Ray places more on such a node than it can bear") == 1


def stop_before_the_head(monkeypatch) -> None:
    def stop(*_: object) -> None:
        raise SystemExit(0)

    monkeypatch.setattr("yellowdog_ray.commands.wait.HeadWait.until_reachable", stop)
