"""Resources that the YAML does not state: from the cloud, from platform nodes, from a configured pool."""

import pytest
from yellowdog_client.model import (
    AwsInstancesComputeSource,
    ComputeRequirementStaticTemplate,
    ComputeSourceTemplate,
    ComputeSourceUsage,
    GceInstancesComputeSource,
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


def from_google(platform) -> str:
    """A template that has a source at Google Cloud, whose machines have 8 CPUs."""
    source = GceInstancesComputeSource("gce", "k/c", "project", "europe-west2", "n2-standard-8", "image")
    with platform.platform.locked():
        templates = platform.platform.templates
        kept = templates.add_source(ComputeSourceTemplate(source=source, namespace="demo"))
        strategy = "co.yellowdog.platform.model.SplitProvisionStrategy"
        usages = [ComputeSourceUsage(sourceTemplateId=kept.id or "")]
        templates.add_requirement(ComputeRequirementStaticTemplate("google", strategy, usages, namespace="demo"))
    return "demo/google"


def use(yaml, **node_config: str) -> None:
    yaml["available_node_types"]["worker"]["node_config"] = node_config


def filled(yaml) -> dict[str, int]:
    node_types = RayDogNodeProvider.fillout_available_node_types_resources(yaml)["available_node_types"]
    return dict(node_types["worker"]["resources"])


class TestFillIn:
    def test_fill_in_uses_the_instance_type(self, platform, yaml):
        use(yaml, compute_requirement_template=from_aws(platform, "g4dn.xlarge"))

        assert filled(yaml) == {"CPU": 4, "GPU": 1, "memory": int(16 * GIB * 0.7)}

    def test_fill_in_uses_the_machine_type_of_google(self, platform, yaml):
        use(yaml, compute_requirement_template=from_google(platform))

        assert filled(yaml) == {"CPU": 8, "memory": int(32 * GIB * 0.7)}

    @pytest.mark.parametrize("stated", [{}, {"special": 1}, {"GPU": 2}, None])
    def test_fill_in_completes_resources_without_cpus(self, platform, yaml, stated):
        yaml["available_node_types"]["worker"]["resources"] = stated
        use(yaml, compute_requirement_template=from_aws(platform, "g4dn.xlarge"))

        assert filled(yaml) == {"CPU": 4, "GPU": 1, "memory": int(16 * GIB * 0.7)} | (stated or {})

    def test_fill_in_uses_the_minimum_of_several_instance_types(self, platform, yaml):
        use(yaml, compute_requirement_template=from_aws(platform, "g4dn.xlarge", "c5.large"))

        assert filled(yaml) == {"CPU": 2, "memory": int(4 * GIB * 0.7)}

    def test_fill_in_uses_platform_nodes_of_an_undescribed_instance_type(self, platform, yaml):
        make_cluster({**yaml, "available_node_types": {**yaml["available_node_types"], "worker": WORKER}})
        platform.advance(BOOT)

        assert filled(yaml) == {"CPU": 2, "memory": int(4 * GIB * 0.7)}

    def test_fill_in_uses_platform_nodes_without_permission_for_instance_types(self, platform, yaml):
        make_cluster({**yaml, "available_node_types": {**yaml["available_node_types"], "worker": WORKER}})
        platform.advance(BOOT)

        with platform.faults.during(Status(call="GET /cloudInfo/instanceTypes", status=403)):
            assert filled(yaml)["CPU"] == 2

    def test_fill_in_uses_the_minimum_of_a_configured_pool(self, platform, yaml):
        configured_pool(platform, vcpus=16, ram=64)
        use(yaml, worker_pool="demo/own")

        assert filled(yaml) == {"CPU": 16, "memory": int(64 * GIB * 0.7)}

    def test_fill_in_keeps_stated_resources_without_reading_sizes(self, platform, yaml, calls):
        yaml["available_node_types"]["worker"]["resources"] = {"CPU": 0, "special": 1}

        made = calls.during(lambda: RayDogNodeProvider.fillout_available_node_types_resources(yaml))

        assert len(made) == 2  # the template, for the labels
        assert filled(yaml) == {"CPU": 0, "special": 1}

    def test_fill_in_creates_nothing(self, platform, yaml):
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
    def test_ray_up_reports_filled_in_resources(self, platform, yaml, in_a_users_folder, monkeypatch):
        use(yaml, compute_requirement_template=from_aws(platform, "m5.xlarge"))
        stop_before_the_head(monkeypatch)

        result = ray("up", yaml, in_a_users_folder, "-y")

        expected = "node type 'worker' offers CPU: 4, memory: 11.2 GiB, from instance type m5.xlarge"
        assert expected in result.output
        assert result.output.count("m5.xlarge") == 1
        assert "Traceback" not in result.output

    def test_ray_up_warns_of_custom_resources_without_known_cpus(self, platform, yaml, in_a_users_folder, monkeypatch):
        stop_before_the_head(monkeypatch)
        yaml["available_node_types"]["worker"]["resources"] = {"special": 1}

        result = ray("up", yaml, in_a_users_folder, "-y")

        assert "available_node_types.worker.resources has no CPU, and RayDog cannot fill it in" in result.output

    def test_ray_up_refuses_unknown_resources_before_creating_anything(
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
            "cluster.yaml: available_node_types.worker.resources is missing, and RayDog cannot fill it in",
            "no instance type 'sim-instance', and shows no platform node of that type",
            "Write it, for example `resources: {CPU: 4}`",
        )

    def test_ray_up_reports_a_missing_template_as_such(self, platform, yaml, in_a_users_folder):
        use(yaml, compute_requirement_template="demo/gone")

        result = ray("up", yaml, in_a_users_folder, "-y")

        assert_refused(result, platform, "available_node_types.worker.node_config.compute_requirement_template")

    def test_other_commands_work_with_unknown_resources(self, platform, yaml, in_a_users_folder):
        result = ray("down", yaml, in_a_users_folder, "-y")

        assert result.exit_code == 0, result.output

    def test_ray_up_warns_of_resources_above_the_machines_size(self, platform, yaml, in_a_users_folder, monkeypatch):
        use(yaml, compute_requirement_template=from_aws(platform, "m5.xlarge"))
        yaml["available_node_types"]["worker"]["resources"] = {"CPU": 8, "GPU": 1}
        stop_before_the_head(monkeypatch)

        result = ray("up", yaml, in_a_users_folder, "-y")

        text = "available_node_types.worker.resources has CPU: 8, but its machine has 4; GPU: 1, but its machine has 0"
        assert text in result.output
        assert result.output.count("Ray will overload such a node") == 1


def stop_before_the_head(monkeypatch) -> None:
    def stop(*_: object) -> None:
        raise SystemExit(0)

    monkeypatch.setattr("yellowdog_ray.commands.head_wait.HeadWait.until_reachable", stop)
