"""How a head comes up, and what becomes of half-made and dead ones."""

import threading
from collections.abc import Callable

import pytest
from yellowdog_client.model import WorkRequirementSearch

from tests.yellowdog_ray.cluster_lab import BOOT, HEAD_TAGS, NODE_CONFIG, grow, pool_names
from yellowdog_local import faults
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.commands import up as head_module
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.up import SshSettings, create_head, describe_wait, wait_until_reachable
from yellowdog_ray.errors import (
    ClusterNameTaken,
    HeadBuildTimeout,
    HeadEnded,
    HeadError,
    HeadUnreachable,
    HostKeyChanged,
    PlatformError,
    SshError,
)
from yellowdog_ray.platform.types import ComputeView, PoolView
from yellowdog_ray.remote.ssh import SshTarget

SSH = SshSettings("yd-agent", "key")


def make_head(cluster: Cluster, tags: dict[str, str] = HEAD_TAGS) -> None:
    create_head(cluster, NODE_CONFIG, tags, Progress(), v2=True)


def unfinished_work(local) -> list[str]:
    with local.client() as client:
        found = client.work_client.get_work_requirements(WorkRequirementSearch()).list_all()
    return [str(work.id) for work in found if not work.status.finished]


def test_two_ray_up_at_once_end_with_one_cluster(local, make_cluster):
    barrier = threading.Barrier(2)
    clusters = [make_cluster(), make_cluster()]
    failures: list[BaseException] = []

    def up(cluster: Cluster) -> None:
        barrier.wait()
        try:
            make_head(cluster)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test must hear of it
            failures.append(error)

    threads = [threading.Thread(target=up, args=(cluster,)) for cluster in clusters]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    local.advance(BOOT)

    assert failures == []
    assert clusters[0].refresh().head.id == clusters[1].refresh().head.id
    assert (len(unfinished_work(local)), len(pool_names(local)), len(local.hosts.instance_ids)) == (1, 1, 1)


def test_a_new_cluster_takes_few_calls_that_wait_for_each_other(make_cluster, calls):
    made = calls.during(lambda: make_head(make_cluster()))

    changes = [call.split("/")[-1] for call in made if not call.startswith("GET")]
    assert changes == ["requirements", "template", "tasks"]
    assert len(made) == 3 + 5  # the account, the template, is there such a cluster; what has become of it: two


def test_the_second_of_two_with_another_configuration_is_told(make_cluster):
    make_head(make_cluster())

    with pytest.raises(ClusterNameTaken, match="different configuration"):
        make_head(make_cluster(), {**HEAD_TAGS, "ray-launch-config": "other"})


def test_a_head_that_has_ended_is_replaced_with_all_that_was_its_cluster(local, make_cluster):
    laptop = make_cluster()
    make_head(laptop)
    local.advance(BOOT)
    old = laptop.find()
    cluster = make_cluster(on_head=True, pinned=old.id)
    cluster.refresh()
    grow(cluster, 2)
    local.advance(BOOT)
    old_head = laptop.refresh().head
    with local.client() as client:
        client.work_client.cancel_task_by_id(old_head.task_id, abort=True)
    local.advance(2)

    again = make_cluster()
    assert again.refresh().head is None
    make_head(again)
    local.advance(BOOT)

    assert again.find().id != old.id
    assert set(again.refresh().nodes) == {again.snapshot.head.id}
    assert again.snapshot.head.id != old_head.id
    assert len(local.hosts.instance_ids) == 1


def test_a_cluster_that_is_still_being_taken_down_is_ended_before_another_is_made(local, make_cluster):
    laptop = make_cluster()
    make_head(laptop)
    local.advance(BOOT)
    old = laptop.find()
    again = make_cluster()

    with local.faults.during(faults.AbortLost()):
        laptop.platform.cancel_work_requirement(old.id)
        make_head(again)
    local.advance(BOOT)

    assert unfinished_work(local) == [again.find().id] != [old.id]
    assert len(local.hosts.instance_ids) == 1


def test_the_pool_of_a_ray_up_that_was_killed_before_its_head_had_a_task_does_not_stay(
    local, make_cluster, monkeypatch
):
    killed = make_cluster()

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(killed.platform, "add_tasks", die)
    with pytest.raises(KeyboardInterrupt):
        make_head(killed)

    local.advance(300)

    assert local.hosts.instance_ids == []


def test_the_instance_of_a_head_that_never_registers_does_not_stay_though_nobody_waits(local, make_cluster):
    with local.faults.during(faults.NeverRegisters()):
        make_head(make_cluster(head_node_build_timeout_minutes=5))
        local.advance(4 * 60)
        assert len(local.hosts.instance_ids) == 1

        local.advance(2 * 60)
        assert local.hosts.instance_ids == []
        local.advance(60 * 60)

        assert local.hosts.instance_ids == []


def test_looking_at_a_cluster_that_is_still_booting_leaves_it_alone(local, make_cluster):
    make_head(make_cluster())

    for _ in range(3):
        assert make_cluster().refresh().head is not None

    assert len(unfinished_work(local)) == 1


class TestWaiting:
    def test_it_ends_when_ssh_lets_us_in(self, local, make_cluster, monkeypatch):
        knocked = knocking(monkeypatch, [None])
        cluster = make_cluster()
        make_head(cluster)

        target = wait_until_reachable(cluster, SSH, Progress())

        assert knocked == [target]
        assert target.host == cluster.snapshot.head.public_ip

    def test_a_private_cluster_is_reached_by_the_private_address(self, local, make_cluster, monkeypatch):
        knocking(monkeypatch, [None])
        cluster = make_cluster()
        make_head(cluster)

        target = wait_until_reachable(cluster, SshSettings("yd-agent", "key", use_private_ip=True), Progress())

        assert target.host == cluster.snapshot.head.private_ip

    def test_every_step_is_told(self, local, make_cluster, monkeypatch, capsys):
        knocking(monkeypatch, ["waiting for SSH", None])
        cluster = make_cluster()
        make_head(cluster)

        wait_until_reachable(cluster, SSH, Progress())

        said = capsys.readouterr().out
        assert "waiting for the instance (PENDING)" in said
        assert "waiting for SSH" in said

    def test_a_head_that_stays_out_of_reach_is_a_timeout_that_says_what_was_missing(
        self, local, make_cluster, monkeypatch
    ):
        knocking(monkeypatch, ["waiting for SSH: Permission denied (publickey)"] * 1000)
        cluster = make_cluster(head_node_build_timeout_minutes=1)
        make_head(cluster)

        with pytest.raises(HeadBuildTimeout, match=r"0:01:00.*Permission denied.*head_node_build_timeout_minutes"):
            wait_until_reachable(cluster, SSH, Progress())

    def test_a_head_whose_task_ends_meanwhile_is_told_with_its_reason(self, local, make_cluster, monkeypatch):
        knocking(monkeypatch, ["waiting for SSH"] * 1000)
        cluster = make_cluster()
        make_head(cluster)
        local.advance(BOOT)
        local.hosts.lose(local.hosts.instance_ids[0])

        with pytest.raises(HeadEnded, match="ALLOCATION_LOST"):
            wait_until_reachable(cluster, SSH, Progress())

    def test_a_cluster_that_somebody_takes_down_meanwhile_is_told_so(self, local, make_cluster, monkeypatch):
        knocking(monkeypatch, ["waiting for SSH"] * 1000)
        cluster = make_cluster()
        make_head(cluster)
        local.advance(BOOT)
        other = make_cluster()
        other.platform.cancel_work_requirement(other.find().id)

        with pytest.raises(HeadEnded, match="taken down"):
            wait_until_reachable(cluster, SSH, Progress())


class TestAPrivateAddress:
    """Of a head that runs, and is silent."""

    PRIVATE = SshSettings("yd-agent", "key", use_private_ip=True)

    @pytest.fixture
    def waiting(self, local, make_cluster, monkeypatch):
        """Waits for a head that never answers. Returns how long that was after its task began, and the error."""
        monkeypatch.setattr(head_module, "answers", lambda host: False)

        def wait(ssh: SshSettings) -> tuple[float, HeadError]:
            cluster = make_cluster(head_node_build_timeout_minutes=5)
            make_head(cluster)
            local.advance(BOOT)
            began = cluster.clock.monotonic()
            with pytest.raises(HeadError) as caught:
                wait_until_reachable(cluster, ssh, Progress())
            return cluster.clock.monotonic() - began, caught.value

        return wait

    def test_to_which_no_network_leads_is_told_long_before_the_timeout(self, waiting):
        seconds, error = waiting(self.PRIVATE)

        assert isinstance(error, HeadUnreachable)
        assert 60 < seconds < 70
        assert "auth.ssh_proxy_command" in str(error)
        assert "provider.use_internal_ips" in str(error)
        assert "\n" not in str(error)

    def test_where_ssh_answers_but_lets_nobody_in_is_another_matter(self, waiting, monkeypatch):
        monkeypatch.setattr(head_module, "answers", lambda host: True)
        monkeypatch.setattr(SshTarget, "run", failing_with(SshError("Permission denied (publickey)")))

        _, error = waiting(self.PRIVATE)

        assert isinstance(error, HeadBuildTimeout)
        assert "Permission denied" in str(error)

    def test_is_no_matter_with_a_proxy(self, waiting, monkeypatch):
        monkeypatch.setattr(SshTarget, "run", failing_with(SshError("bastion is down")))

        _, error = waiting(SshSettings("yd-agent", "key", "ssh -W %h:%p bastion", use_private_ip=True))

        assert isinstance(error, HeadBuildTimeout)
        assert "bastion is down" in str(error)

    def test_is_not_blamed_where_there_is_a_public_one(self, waiting):
        _, error = waiting(SSH)

        assert isinstance(error, HeadBuildTimeout)


def test_another_host_in_the_heads_place_ends_the_waiting_at_once(local, make_cluster, monkeypatch):
    monkeypatch.setattr(head_module, "answers", lambda host: True)
    monkeypatch.setattr(SshTarget, "run", failing_with(HostKeyChanged("another host key")))
    cluster = make_cluster()
    make_head(cluster)
    local.advance(BOOT)

    with pytest.raises(HostKeyChanged):
        wait_until_reachable(cluster, SSH, Progress())


def test_a_proxy_that_goes_by_node_ids_gets_one(local, make_cluster):
    cluster = make_cluster()
    make_head(cluster)
    local.advance(BOOT)
    head = cluster.refresh().head

    target = SshSettings("yd-agent", "key", "connect %h", use_node_id=True).target(head)

    assert (target.host, target.proxy_command) == (head.id, "connect %h")


def failing_with(error: Exception):
    def fail(*_, **__):
        raise error

    return fail


def knocking(monkeypatch: pytest.MonkeyPatch, answers: list[str | None]) -> list[SshTarget]:
    """Simulated hosts have no SSH: say what each knock at the door brings."""
    knocked: list[SshTarget] = []

    def knock(target: SshTarget) -> str | None:
        knocked.append(target)
        return answers.pop(0)

    monkeypatch.setattr(head_module, "_knock", knock)
    return knocked


POOL = PoolView("p", "demo-head-12345678", "PENDING", finished=False, compute_requirement_id="c")


@pytest.mark.parametrize(
    ("pool", "compute", "registered", "expected"),
    [
        (None, None, False, "waiting for the worker pool"),
        (POOL, ComputeView("PROVISIONING", False, 0), False, "waiting for the instance (requirement PROVISIONING)"),
        (POOL, ComputeView("PROVISIONING", False, 1, ("PENDING",)), False, "waiting for the instance (PENDING)"),
        (POOL, ComputeView("PROVISIONING", False, 0, (), ("no capacity",)), False, "(no capacity)"),
        (POOL, ComputeView("RUNNING", False, 1, ("RUNNING",)), False, "waiting for its agent"),
        (POOL, ComputeView("RUNNING", False, 1, ("RUNNING",)), True, "waiting for the head's task"),
    ],
)
def test_the_step_that_is_waited_for(pool, compute, registered, expected):
    assert expected in describe_wait(pool, compute, registered=registered)


def test_listed_files_keep_their_place_below_the_heads_home(monkeypatch):
    uploaded: dict[str, str] = {}
    target = recording_target(monkeypatch, uploaded)

    head_module.upload_files(target, ["scripts/a.sh", "/etc/b.conf", "../c.txt"])

    assert uploaded == {"scripts/a.sh": "scripts/a.sh", "b.conf": "/etc/b.conf", "c.txt": "../c.txt"}


def test_mapped_files_go_where_the_user_says(monkeypatch):
    uploaded: dict[str, str] = {}
    target = recording_target(monkeypatch, uploaded)

    head_module.upload_files(target, {"~/data/x": "x", "/opt/y": "y"})

    assert uploaded == {"data/x": "x", "/opt/y": "y"}


def recording_target(monkeypatch: pytest.MonkeyPatch, uploaded: dict[str, str]) -> SshTarget:
    record: Callable[..., None] = lambda self, local, remote: uploaded.__setitem__(remote, local)  # noqa: E731
    monkeypatch.setattr(SshTarget, "upload", record)
    return SshTarget("yd-agent", "10.0.0.1", "key", "head-1")


def test_a_platform_that_fails_while_the_head_is_made_leaves_what_it_made_to_be_found(local, make_cluster, monkeypatch):
    cluster = make_cluster()

    def fail(*_: object) -> None:
        raise PlatformError("no answer")

    monkeypatch.setattr(cluster.platform, "create_pool", fail)
    with pytest.raises(PlatformError):
        make_head(cluster)

    assert make_cluster().find() is not None
