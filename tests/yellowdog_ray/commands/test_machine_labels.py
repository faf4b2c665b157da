"""Ray's labels that a template decides: filled in before Ray checks the YAML, and given to the nodes as defaults."""

import json

import pytest
from yellowdog_client.model import ComputeRequirementDynamicTemplate

from tests.yellowdog_ray.commands.test_machine_sizes import from_aws
from yellowdog_local.faults.rules import Status
from yellowdog_ray.config.environment import head_environment, worker_environment
from yellowdog_ray.config.models import parse_provider
from yellowdog_ray.platform.convert_machines import template_source
from yellowdog_ray.provider import RayDogNodeProvider

LOCAL = {"ray.io/market-type": "on-demand", "ray.io/availability-region": "sim-region"}
ON_AWS = {"ray.io/market-type": "on-demand", "ray.io/availability-region": "eu-west-2"}


@pytest.fixture
def yaml(cluster_yaml, in_a_users_folder):
    cluster_yaml["available_node_types"]["worker"]["labels"] = {"team": "a"}
    return cluster_yaml


def filled(yaml) -> dict[str, str]:
    """The labels of the worker type after Ray's first step."""
    node_types = RayDogNodeProvider.fillout_available_node_types_resources(yaml)["available_node_types"]
    return dict(node_types["worker"]["labels"])


class TestFillIn:
    def test_labels_of_the_template_are_added(self, platform, yaml):
        assert filled(yaml) == {"team": "a", **LOCAL}

    def test_labels_of_the_yaml_stay(self, platform, yaml):
        yaml["available_node_types"]["worker"]["labels"] = {"ray.io/market-type": "spot"}

        assert filled(yaml) == {**LOCAL, "ray.io/market-type": "spot"}

    def test_accelerator_is_added_for_nodes_with_gpus(self, platform, yaml):
        worker = yaml["available_node_types"]["worker"]
        worker["node_config"] = {"compute_requirement_template": from_aws(platform, "g4dn.xlarge")}

        assert filled(yaml) == {"team": "a", **ON_AWS}
        worker["resources"] = {"CPU": 4, "GPU": 1}
        assert filled(yaml) == {"team": "a", **ON_AWS, "ray.io/accelerator-type": "T4"}

    def test_labels_that_differ_between_sources_are_left_to_the_nodes(self, platform, yaml):
        template = from_aws(platform, "g4dn.xlarge", "m5.xlarge")
        for number, record in enumerate(platform.platform.store.source_templates.values()):
            record.entity.source.region = f"region-{number}"
        yaml["available_node_types"]["worker"] |= {
            "resources": {"CPU": 4, "GPU": 1},
            "node_config": {"compute_requirement_template": template},
        }

        assert filled(yaml) == {"team": "a", "ray.io/market-type": "on-demand"}

    def test_dynamic_template_gives_no_labels(self, platform, yaml):
        strategy = "co.yellowdog.platform.model.SingleSourceProvisionStrategy"
        with platform.platform.locked():
            dynamic = ComputeRequirementDynamicTemplate("dynamic", strategy, namespace="demo")
            platform.platform.templates.add_requirement(dynamic)
        yaml["available_node_types"]["worker"]["node_config"] = {"compute_requirement_template": "demo/dynamic"}

        assert filled(yaml) == {"team": "a"}

    def test_unreadable_template_gives_no_labels(self, platform, yaml):
        with platform.faults.during(Status(call="GET /compute/namespaces/*/templates/requirements/*", status=403)):
            assert filled(yaml) == {"team": "a"}

    def test_two_calls_for_each_template(self, platform, yaml, calls):
        made = calls.during(lambda: filled(yaml))

        assert len(made) == 2  # head and workers share it


class TestEnvironments:
    """Filled-in labels are defaults, which `ray start --labels` may replace; those of the YAML are not."""

    def test_head_gets_machine_labels_as_defaults(self, platform, yaml):
        yaml["available_node_types"]["head"]["labels"] = {"role": "head"}
        config = RayDogNodeProvider.bootstrap_config(RayDogNodeProvider.fillout_available_node_types_resources(yaml))
        settings = parse_provider(config["provider"], "cluster.yaml")

        environment = head_environment("head-1", {}, "id", settings, v2=True)

        assert json.loads(environment["RAY_OVERRIDE_LABELS"]) == {"role": "head"}
        assert environment["RAY_NODE_MARKET_TYPE"] == "on-demand"
        assert environment["RAY_NODE_REGION"] == "sim-region"
        assert "RAY_NODE_ZONE" not in environment
        assert settings.internal.node_types["worker"].machine_labels == LOCAL

    def test_worker_gets_machine_labels_as_defaults(self):
        machine = {**LOCAL, "ray.io/accelerator-type": "T4"}

        environment = worker_environment("w-1", {}, "10.0.0.1", {}, {**machine, "team": "a"}, machine_labels=machine)

        assert json.loads(environment["RAY_OVERRIDE_LABELS"]) == {"team": "a"}
        assert environment["RAY_NODE_MARKET_TYPE"] == "on-demand"


class TestSources:
    """Each cloud has its own names; a platform may leave fields out."""

    @pytest.mark.parametrize(
        ("fields", "spot"),
        [
            ({"instancePricing": "SPOT_ONLY", "spot": False}, True),
            ({"instancePricing": "SPOT_AND_ON_DEMAND", "spot": True}, None),
            ({"spot": True}, True),
            ({"useSpot": True}, True),
            ({"preemptible": False}, False),
            ({}, None),
        ],
    )
    def test_market_is_the_one_of_the_source(self, fields, spot):
        assert template_source(type("Source", (), fields)()).spot is spot
