"""What a YAML requests, read from good and from broken files."""

import pytest
import yaml

from yellowdog_ray.inventory.plan import NodeTypePlan, Plan, read_plan


@pytest.fixture
def plan_of(tmp_path):
    def read(text):
        file = tmp_path / "c.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_plan(file)

    return read


def test_good_yaml_gives_everything(plan_of, cluster_yaml):
    cluster_yaml["provider"] |= {"use_internal_ips": True, "ray_auth": "none"}
    cluster_yaml["available_node_types"]["worker"]["node_config"]["images_id"] = "ami-1"

    plan = plan_of(yaml.safe_dump(cluster_yaml))

    assert (plan.cluster, plan.namespace, plan.head_type, plan.max_workers) == ("demo", "demo", "head", 2)
    assert (plan.private, plan.keeps_token) == (True, False)
    assert plan.auth == cluster_yaml["auth"]
    assert plan.node_types == (
        NodeTypePlan("head", "demo/local"),
        NodeTypePlan("worker", "demo/local", image="ami-1", max_workers=2),
    )


@pytest.mark.parametrize("text", ["a: [", "- 1", "a: &a [*a]", b"\xff", "a: 2026-13-45", ""])
def test_unreadable_yaml_gives_an_empty_plan(plan_of, text):
    plan = plan_of(text)

    assert (plan.cluster, plan.namespace, plan.auth, plan.node_types) == (None, None, None, ())


def test_missing_file_gives_an_empty_plan(tmp_path):
    assert read_plan(tmp_path / "no.yaml").node_types == ()


def test_values_of_another_form_are_missing(plan_of):
    plan = plan_of(
        "cluster_name: No Name\nprovider: 1\nauth: x\nmax_workers: true\n"
        "available_node_types: {w: {max_workers: 'a', node_config: {worker_pool: [1], images_id: ''}}, v: 3}\n"
    )

    assert (plan.cluster, plan.namespace, plan.auth, plan.max_workers) == (None, None, None, None)
    assert plan.node_types == (NodeTypePlan("w"), NodeTypePlan("v"))


def test_copied_auth_counts_where_the_yaml_has_no_other(plan_of):
    assert plan_of("provider: {auth: {ssh_user: me}}").auth == {"ssh_user": "me"}


@pytest.mark.parametrize(("limit", "machines"), [(5, 6), (None, 40)])
def test_machines_of_a_template_are_its_types_or_else_all_workers(limit, machines):
    types = (NodeTypePlan("head", "t"), NodeTypePlan("w", "t", max_workers=limit), NodeTypePlan("v", "u"))

    assert Plan("c", head_type="head", max_workers=40, node_types=types).machines_of("t") == machines
