"""`ray up` puts tags on the machines, and warns of those that a node type's cloud would refuse."""

import pytest

from tests.yellowdog_ray.commands.test_machine_sizes import from_aws, from_google, stop_before_the_head
from tests.yellowdog_ray.ray_cli import assert_refused, ray

NOT_FOR_GOOGLE = {"CostCentre": "R&D"}


@pytest.fixture
def yaml(cluster_yaml, in_a_users_folder, monkeypatch):
    """A YAML with tags; `ray up` ends after the head's creation."""
    stop_before_the_head(monkeypatch)
    monkeypatch.setenv("LOGNAME", "Ann")
    cluster_yaml["provider"]["instance_tags"] = {"team": "research", **NOT_FOR_GOOGLE}
    return cluster_yaml


def tags_of_the_heads_machine(platform) -> dict[str, str]:
    (requirement,) = platform.platform.store.requirements.values()
    (source,) = requirement.entity.provisionStrategy.sources
    return dict(source.instanceTags)


def test_heads_machine_has_the_tags_of_cluster_user_and_node_type(platform, yaml, in_a_users_folder):
    yaml["available_node_types"]["head"]["node_config"]["instance_tags"] = {"role": "head"}

    result = ray("up", yaml, in_a_users_folder, "-y")

    assert "Google" not in result.output
    assert tags_of_the_heads_machine(platform) == {
        "CostCentre": "R&D",
        "ray-cluster-name": yaml["cluster_name"],
        "ray-user": "ann",
        "role": "head",
        "team": "research",
    }


def test_ray_up_warns_of_tags_that_google_refuses_on_google_only(platform, yaml, in_a_users_folder):
    types = yaml["available_node_types"]
    types["worker"]["node_config"] = {"compute_requirement_template": from_google(platform)}
    types["other"] = {
        **types["worker"],
        "node_config": {"compute_requirement_template": from_aws(platform, "m5.large")},
    }

    result = ray("up", yaml, in_a_users_folder, "-y")

    text = "available_node_types.worker: Google Cloud may refuse machines with the tag(s) 'CostCentre'"
    assert text in result.output
    assert result.output.count("Google Cloud") == 1


def test_ray_up_refuses_more_tags_than_a_machine_can_have(platform, yaml, in_a_users_folder):
    own = {f"tag-{number}": "" for number in range(47)}
    yaml["available_node_types"]["worker"]["node_config"]["instance_tags"] = own

    result = ray("up", yaml, in_a_users_folder, "-y")

    place = "available_node_types.worker.node_config.instance_tags and provider.instance_tags have together 49 tags"
    assert_refused(result, platform, place)
