"""`raydog down`: the whole cluster ends without a YAML, after a question, and nothing else does."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.yellowdog_ray.inventory.conftest import add_strangers_pool, add_strangers_work, make_work
from yellowdog_ray import names
from yellowdog_ray.commands.cluster_token import token_file
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.errors import TeardownIncomplete
from yellowdog_ray.inventory import ending, target
from yellowdog_ray.inventory.target import Found, Target


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


@pytest.fixture
def found(monkeypatch, tmp_path):
    """A cluster that was found, and its newest work requirement, whose end is shown at once."""
    monkeypatch.setenv("HOME", str(tmp_path))
    token = token_file("demo", "ray")
    token.parent.mkdir(parents=True)
    token.touch()
    monkeypatch.setattr(ending, "tear_down", lambda *_: [])

    def make(*, finished=False, newest=None):
        work = make_work("ray", "w", "CANCELLED" if finished else "RUNNING", live=1)
        answer = {None: work, "same": work, "alive": replace(work, id="v", finished=False)}.get(newest)
        monkeypatch.setattr(ending, "find_last_work", lambda *_: answer)
        return Found("ray", SimpleNamespace(namespace="demo", clock=None), work)

    return make


def test_end_forgets_the_token_and_names_the_namespace(found):
    assert ending.end(found(), Progress()) == "nothing is left of cluster 'ray' on YellowDog (namespace demo)"
    assert not token_file("demo", "ray").exists()


def test_end_keeps_the_token_of_a_cluster_that_was_created_again(found):
    again = found(newest="alive")

    with pytest.raises(TeardownIncomplete, match="created again meanwhile"):
        ending.end(again, Progress())
    assert token_file("demo", "ray").exists()
    with pytest.raises(TeardownIncomplete, match="nothing was ended"):
        ending.require_newest(again)


def test_end_keeps_the_token_when_the_cluster_had_ended_before(found):
    assert "It had ended before" in ending.end(found(finished=True), Progress())
    assert token_file("demo", "ray").exists()


@pytest.mark.parametrize("name", ["n" * 60, "a-very-long-cluster-name-of-a-user-who-likes-long-names-x", "demo"])
def test_later_generation_is_found_by_the_clusters_name(monkeypatch, name):
    work = make_work(names.work_name(name, 2), tag=names.pool_name(name, "head", "0a0b0c0d"))
    monkeypatch.setattr(target, "find_last_work", lambda *_: work)
    account = SimpleNamespace(within=lambda _: None)

    found = target.find(account, Target(name, "demo"))

    assert found is not None
    assert (found.name, found.work) == (name, work)


def alive(local):
    return sum(instance.status.alive for instance in local.platform.store.instances.values())
