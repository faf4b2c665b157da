"""`raydog down`: the whole cluster ends without a YAML, after a question, and nothing else does."""

import pytest

from tests.yellowdog_ray.inventory.conftest import add_strangers_pool, add_strangers_work
from yellowdog_ray.commands.cluster_token import token_file


@pytest.mark.usefixtures("in_step")
def test_down_ends_the_cluster_and_leaves_others(local, raydog, with_workers):
    with_workers("ray", 2)
    with_workers("ray-production", 1)
    add_strangers_pool(local, "ray-head")
    token = token_file("demo", "ray")
    token.parent.mkdir(parents=True)
    token.touch()

    result = raydog.run("down", "ray", "-y")

    assert result.exit_code == 0, result.output
    assert "nothing is left of cluster 'ray' on YellowDog" in result.stdout
    assert not token.exists()
    assert [cluster["name"] for cluster in raydog.json("list")["clusters"]] == ["ray-production"]
    assert alive(local) == 2 + 1


def test_down_ends_nothing_when_the_question_is_declined(local, raydog, with_workers):
    with_workers("ray", 0)

    result = raydog.run("down", "ray", answer="n\n")

    assert result.exit_code == 1
    assert "cluster ray in namespace demo: 1 node(s)" in result.stdout
    assert raydog.json("list")["clusters"][0]["state"] == "up"


@pytest.mark.parametrize("options", [(), ("--namespace", "demo")])
def test_down_of_a_strangers_work_ends_nothing(local, raydog, options):
    add_strangers_work(local, "ray")

    result = raydog.run("down", "ray", "-y", *options)

    assert result.exit_code == 1
    assert "cluster 'ray'" in result.stderr
    assert [work.status.finished for work in local.platform.store.works.values()] == [False]


def alive(local):
    return sum(instance.status.alive for instance in local.platform.store.instances.values())
