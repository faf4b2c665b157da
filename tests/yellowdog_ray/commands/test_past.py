"""What later commands report of a cluster whose head is gone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.yellowdog_ray.cluster_lab import BOOT, make_head
from tests.yellowdog_ray.ray_cli import create_head, make_provider, ray
from yellowdog_local import faults
from yellowdog_ray.commands.past import why_no_head
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.teardown import tear_down
from yellowdog_ray.errors import PlatformError


@pytest.fixture
def past(make_cluster):
    """What another process reports of the cluster."""

    def read() -> str | None:
        cluster = make_cluster()
        assert cluster.refresh().head is None
        return why_no_head(cluster.platform, cluster)

    return read


def time_of(local) -> str:
    """The present time of the platform, to the hour: a test takes seconds of it."""
    return f"{local.clock.now():%Y-%m-%d %H:}"


def test_stopped_ray_is_reported_with_its_time(local, make_cluster, past):
    with local.faults.during(faults.TaskExits(exit_code=0)):
        make_head(make_cluster())
        local.advance(BOOT)

    reason = past()

    assert f"the head's task ended without an error at {time_of(local)}" in reason
    assert "`ray exec --stop`" in reason
    assert "`ray down` removes what is left" in reason


def test_failed_task_is_reported_with_its_error_and_time(local, make_cluster, past):
    with local.faults.during(faults.TaskExits(exit_code=3)):
        make_head(make_cluster())
        local.advance(BOOT)

    reason = past()

    assert f"the head's task ended at {time_of(local)}" in reason
    assert "(exit code 3)" in reason


def test_number_of_replacements_is_reported(local, make_cluster, past, monkeypatch):
    with local.faults.during(faults.TaskExits(exit_code=3)):
        make_head(make_cluster())
        local.advance(BOOT)
    platform = make_cluster().platform
    listed = type(platform).group_tasks

    def with_replacement(self, group_id):
        (head,) = listed(self, group_id)
        return [head, replace(head, id="later", name=f"{head.name}-r1")]

    monkeypatch.setattr(type(platform), "group_tasks", with_replacement)

    assert "it had replaced a lost head (number 1)" in past()


def test_last_of_several_head_tasks_is_reported(local, make_cluster, monkeypatch):
    """A user may have copied the head's task in YellowDog's portal."""
    with local.faults.during(faults.TaskExits(exit_code=3)):
        make_head(make_cluster())
        local.advance(BOOT)
    cluster = make_cluster()
    (last,) = cluster.platform.group_tasks(cluster.last().groups[0].id)
    earlier = replace(last, status="COMPLETED", ended=last.ended - timedelta(minutes=1))
    endless = replace(earlier, ended=None)
    monkeypatch.setattr(cluster.platform, "group_tasks", lambda _: [endless, last, earlier])

    assert "(exit code 3)" in why_no_head(cluster.platform, cluster)


def test_lost_instance_is_reported_with_its_error_and_time(local, make_cluster, past):
    make_head(make_cluster())
    local.advance(BOOT)
    local.hosts.lose(local.hosts.instance_ids[0])

    reason = past()

    assert f"the head's task ended at {time_of(local)}" in reason
    assert "ALLOCATION_LOST" in reason


def test_end_of_lifetime_is_reported_with_its_time(local, make_cluster, past):
    make_head(make_cluster(cluster_lifetime_hours=0.1))
    local.advance(BOOT)
    ended = time_of(local)
    local.advance(400)

    reason = past()

    assert f"the cluster's lifetime ended at {ended}" in reason
    assert "provider.cluster_lifetime_hours" in reason


def test_teardown_is_reported_with_its_time(local, make_cluster, past):
    cluster = make_cluster()
    make_head(cluster)
    local.advance(BOOT)
    tear_down(cluster.platform, cluster.find(), Progress(), cluster.clock)

    reason = past()

    assert f"the cluster was torn down (work requirement CANCELLED at {time_of(local)}" in reason
    assert "or after provider.idle_termination_minutes" in reason
    assert "`ray up` creates the cluster anew" in reason
    assert "`ray down`" not in reason


def test_unfinished_ray_up_is_reported(local, make_cluster, past, monkeypatch):
    cluster = make_cluster()

    def fail(*_: object) -> None:
        raise PlatformError("no answer")

    monkeypatch.setattr(cluster.platform, "provision_pool", fail)
    with pytest.raises(PlatformError):
        make_head(cluster)

    assert "a `ray up` has begun to create the cluster, and not created its head" in past()


def test_unknown_cluster_has_no_past(past):
    assert past() is None


@pytest.mark.parametrize("command", ["get-head-ip", "exec true", "attach", "rsync-up a b", "submit job.py"])
def test_command_that_needs_a_head_reports_what_has_become_of_it(platform, in_a_users_folder, cluster_yaml, command):
    (in_a_users_folder / "job.py").write_text("")
    create_head(make_provider(cluster_yaml), cluster_yaml)
    platform.advance(BOOT)
    platform.hosts.lose(platform.hosts.instance_ids[0])
    verb, *arguments = command.split()

    result = ray(verb, cluster_yaml, in_a_users_folder, *arguments)

    assert result.exit_code == 1
    assert "Error: head node of cluster 'demo' not found: the head's task ended at " in result.output
    assert "Traceback" not in result.output


def test_get_worker_ips_works_without_a_head(platform, in_a_users_folder, cluster_yaml):
    result = ray("get-worker-ips", cluster_yaml, in_a_users_folder)

    assert result.exit_code == 0
