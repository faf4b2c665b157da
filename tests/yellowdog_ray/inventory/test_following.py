"""`raydog logs --follow`: news as they come, until nothing can follow."""

from types import SimpleNamespace

import pytest

from tests.yellowdog_ray.cluster_lab import BOOT, grow
from yellowdog_local import faults


@pytest.fixture
def steps(monkeypatch):
    """Lets each pause of `--follow` do the next step; Ctrl-C ends it after the last one."""

    def plan(*steps):
        left = list(steps)

        def sleep(_):
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        monkeypatch.setattr("raydog_cli.past.time", SimpleNamespace(sleep=sleep))
        return left

    return plan


def words(output: str) -> list[str]:
    """The text after the node of each line of news."""
    return [line.partition("): ")[2] for line in output.splitlines() if " UTC  " in line or line.startswith("- ")]


def test_follow_shows_starts_errors_and_ends_until_the_cluster_ends(local, raydog, with_workers, steps):
    cluster = with_workers("demo", 0, cluster_lifetime_hours=24)

    def fail_one():
        with local.faults.during(faults.TaskExits(task="cpu-*", exit_code=3)):
            grow(cluster, 1)
            local.advance(BOOT)

    def end():
        cluster.platform.cancel_work_requirement(cluster.find().id)
        for task in list(local.platform.store.tasks.values()):
            if not task.status.finished:
                cluster.platform.abort_task(task.id)
        local.advance(60)

    left = steps(lambda: grow(cluster, 1), lambda: local.advance(BOOT), lambda: None, fail_one, end)

    result = raydog.run("logs", "demo", "--follow")

    assert (result.exit_code, left) == (0, []), result.output
    news = words(result.stdout)
    assert news[:2] == ["its task waits", "its task started"]
    assert news[2] == "its task started"
    assert "exit code 3" in news[3]
    assert news[4] == "its task ended: failed"
    assert sorted(news[5:]) == ["its task ended: aborted"] * 2
    assert "keeps no output of tasks" in result.stderr


def test_follow_of_a_node_ends_with_its_task(local, raydog, with_workers, steps):
    cluster = with_workers("demo", 1, cluster_lifetime_hours=24)
    (worker,) = (node for node in cluster.refresh().nodes.values() if not node.is_head)

    def abort():
        cluster.platform.abort_task(worker.task_id)
        local.advance(30)

    left = steps(abort)

    result = raydog.run("logs", "demo", worker.id, "-f")

    assert (result.exit_code, left) == (0, [])
    assert f"node {worker.id} (cpu): executing" in result.stdout
    assert words(result.stdout) == ["its task ended: aborted"]


def test_follow_survives_an_outage_and_warns_once(local, raydog, with_workers, steps, monkeypatch):
    with_workers("demo", 0)
    monkeypatch.setattr("yellowdog_ray.inventory.account.RETRY_SECONDS", 0.0)
    monkeypatch.setattr("yellowdog_ray.inventory.account.Account.__init__.__defaults__", (0.0,))
    rule = faults.Status(call="GET /work/requirements/*", status=500)
    broken = []
    steps(
        lambda: broken.append(local.faults.add(rule)),
        lambda: None,
        lambda: local.faults.remove(broken[0]),
        lambda: None,
    )

    result = raydog.run("logs", "demo", "--follow")

    assert result.exit_code == 0, result.output
    assert result.stderr.count("warning: ") == 1
    assert words(result.stdout) == []


def test_follow_prints_no_json(raydog):
    result = raydog.run("logs", "demo", "--follow", "--json")

    assert (result.exit_code, "leave out --follow" in result.stderr) == (2, True)
