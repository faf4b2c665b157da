"""`raydog gc` and `raydog down`: a cluster or a leftover ends, and nothing that is young, alive or a stranger's."""

from datetime import datetime, timezone
from types import SimpleNamespace

import pytest
from yellowdog_client.model import WorkRequirement

from tests.yellowdog_ray.cluster_lab import make_head
from tests.yellowdog_ray.inventory.conftest import add_strangers_pool, add_strangers_work
from yellowdog_local import faults
from yellowdog_ray import names
from yellowdog_ray.commands.cluster_token import token_file
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.inventory.leftovers import is_living
from yellowdog_ray.platform.types import Counts, Placement, TaskGroupView, TaskPhase, WorkRequirementView

GC = ("gc", "--namespace", "demo")
OLD = 700.0


@pytest.fixture
def headless(local, with_workers):
    """Makes a cluster whose head has ended, while a worker and its machine live on."""

    def make(name):
        cluster = with_workers(name, 1, cluster_lifetime_hours=24)
        cluster.platform.abort_task(cluster.snapshot.head.task_id)
        local.advance(OLD)
        return cluster

    return make


@pytest.fixture
def interrupted(local, make_cluster):
    """Makes what a `ray up` has left that ended after a number of creations."""

    def make(name, failing_call):
        with local.faults.during(faults.Status(call=failing_call, status=500)), pytest.raises(PlatformError):
            make_head(make_cluster(name))

    return make


def test_gc_removes_what_killed_commands_have_left_and_nothing_else(
    local, raydog, headless, interrupted, with_workers, in_step
):
    interrupted("first", "POST /workerPools/provisioned/template")
    interrupted("second", "POST /work/taskGroups/*/tasks")
    torn = with_workers("third", 1, cluster_lifetime_hours=24)
    torn.platform.cancel_work_requirement(torn.find().id)
    headless("ray")
    living = with_workers("ray-production", 1, cluster_lifetime_hours=24)
    add_strangers_work(local, "ray-2")
    strangers = [add_strangers_pool(local, name) for name in ("ray", "ray-head", "ray-head-0badcafe")]
    local.advance(OLD)

    result = raydog.run(*GC, "-y")

    assert result.exit_code == 0, result.output
    listed = {line.split()[0] for line in result.stdout.splitlines()[1:-1]}
    assert {"first", "ray"} <= listed <= {"first", "second", "third", "ray"}
    assert "ray-head-0badcafe. If they are yours" in result.stderr
    assert [cluster["name"] for cluster in raydog.json("list")["clusters"]] == ["ray-production"]
    assert len(living.refresh().nodes) == 2
    assert {local.platform.store.pools[pool].status.finished for pool in strangers} == {False}
    assert alive(local) == 2 + len(strangers)
    assert raydog.json(*GC, "--dry-run")["leftovers"] == []


@pytest.mark.parametrize(("option", "answer"), [("--dry-run", None), ("--namespace=demo", "n\n")])
def test_gc_shows_and_removes_nothing_without_consent(local, raydog, headless, option, answer):
    headless("ray")
    before = alive(local)

    result = raydog.run(*GC, option, answer=answer)

    assert "it has no head" in result.stdout
    assert result.exit_code == (0 if answer is None else 1)
    assert (alive(local), before) == (1, 1)


def test_gc_leaves_what_is_younger_than_ten_minutes(local, raydog, interrupted):
    interrupted("ray", "POST /workerPools/provisioned/template")
    local.advance(550)

    result = raydog.run(*GC, "-y")

    assert result.exit_code == 0
    assert "nothing to remove" in result.stdout
    assert "cluster ray is left alone" in result.stderr


def test_gc_leaves_a_living_cluster_whose_work_requirement_was_copied(local, raydog, with_workers):
    cluster = with_workers("ray", 1, cluster_lifetime_hours=24)
    with local.client() as client:
        original = client.work_client.get_work_requirement_by_id(cluster.find().id)
        for group in original.taskGroups:
            group.id = None
        copied = client.work_client.add_work_requirement(WorkRequirement("demo", "ray-2", original.taskGroups))
        client.work_client.cancel_work_requirement_by_id(copied.id)
    local.advance(OLD)

    result = raydog.run(*GC, "-y")

    assert result.exit_code == 0
    assert "nothing to remove" in result.stdout
    assert len(cluster.refresh().nodes) == 2


def test_gc_removes_nothing_when_a_work_requirement_cannot_be_read(local, raydog, headless):
    headless("ray")
    with local.faults.during(faults.Status(call="GET /work/requirements/*", status=403)):
        result = raydog.run(*GC, "-y")

    assert result.exit_code == 2
    assert alive(local) == 1


@pytest.mark.parametrize(
    ("live", "finished_tasks", "living"),
    [(1, [], True), (0, [], False), (0, [True], False), (0, [False], True), (None, [], True), (None, [True], False)],
)
def test_cluster_is_living_while_counts_or_lists_show_its_head(live, finished_tasks, living):
    counts = None if live is None else Counts({TaskPhase.EXECUTING: live})
    head = TaskGroupView("g", "head", "ray-head-0a0b0c0d", None, counts, Placement((), ()))
    work = WorkRequirementView("w", "ray", "RUNNING", False, False, datetime.now(timezone.utc), (head,))
    platform = SimpleNamespace(
        group_tasks=lambda _: [SimpleNamespace(finished=finished) for finished in finished_tasks]
    )

    assert is_living(platform, work) is living


@pytest.mark.usefixtures("in_step")
def test_down_ends_the_cluster_and_leaves_others(local, raydog, with_workers):
    with_workers("ray", 2)
    with_workers("ray-production", 1)
    add_strangers_pool(local, "ray-head")
    token = token_file("demo", "ray")
    token.parent.mkdir(parents=True)
    token.touch()

    refused = raydog.run("down", "ray", "-y")
    result = raydog.run("down", "ray", "-y", "-n", "demo")

    assert (refused.exit_code, "Name its namespace with --namespace" in refused.stderr) == (2, True)
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


def test_down_and_gc_end_records_of_the_state_that_the_head_could_not_cancel(local, raydog, with_workers, in_step):
    ended, living = with_workers("ended", 0, cluster_lifetime_hours=24), with_workers("alive", 0)
    tags = [names.state_tag(cluster.groups[0].worker_tag) for cluster in (ended, living)]
    for tag in tags:
        ended.platform.create_document(names.new_state_name(names.token_of(tag)), tag, "state")

    assert raydog.run("down", "ended", "--namespace", "demo", "-y").exit_code == 0
    assert [len(ended.platform.documents(tag, finished=False)) for tag in tags] == [0, 1]
    ended.platform.create_document(names.new_state_name(names.token_of(tags[0])), tags[0], "state")
    local.advance(OLD)
    result = raydog.run(*GC, "-y")

    assert result.exit_code == 0, result.output
    assert "has not cancelled this record" in result.output
    assert [len(ended.platform.documents(tag, finished=False)) for tag in tags] == [0, 1]
