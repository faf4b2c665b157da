"""`ray up` waits until the head is reachable, and reports what it waits for."""

from dataclasses import replace
from datetime import timedelta

import pytest
from yellowdog_client.model import Node

from tests.yellowdog_ray.cluster_lab import BOOT, make_head, wait_until_reachable
from yellowdog_ray.commands import head_wait
from yellowdog_ray.commands.access import SshSettings
from yellowdog_ray.commands.head_wait import describe_wait
from yellowdog_ray.errors import HeadBuildTimeout, HeadEnded, HeadError, HeadUnreachable, HostKeyChanged, SshError
from yellowdog_ray.platform import convert_machines, pools
from yellowdog_ray.platform.types import ComputeView, PlatformNodeView, PoolView
from yellowdog_ray.remote.ssh import SshTarget

SSH = SshSettings("yd-agent", "key")


class TestWaitUntilReachable:
    def test_wait_returns_target_when_ssh_accepts(self, local, make_cluster, monkeypatch):
        attempts = ssh_attempts(monkeypatch, [None])
        cluster = make_cluster()
        make_head(cluster)

        target = wait_until_reachable(cluster, SSH)

        assert attempts == [target]
        assert target.host == cluster.snapshot.head.public_ip

    def test_wait_uses_private_address_with_use_internal_ips(self, local, make_cluster, monkeypatch):
        ssh_attempts(monkeypatch, [None])
        cluster = make_cluster()
        make_head(cluster)

        target = wait_until_reachable(cluster, SshSettings("yd-agent", "key", use_private_ip=True))

        assert target.host == cluster.snapshot.head.private_ip

    def test_wait_reports_every_phase(self, local, make_cluster, monkeypatch, capsys):
        ssh_attempts(monkeypatch, ["waiting for SSH", None])
        cluster = make_cluster()
        make_head(cluster)

        wait_until_reachable(cluster, SSH)

        output = capsys.readouterr().out
        assert "waiting for the instance (PENDING)" in output
        assert "waiting for SSH" in output

    def test_wait_times_out_with_the_missing_phase_when_head_stays_unreachable(self, local, make_cluster, monkeypatch):
        ssh_attempts(monkeypatch, ["waiting for SSH: Permission denied (publickey)"] * 1000)
        cluster = make_cluster(head_node_build_timeout_minutes=1)
        make_head(cluster)

        with pytest.raises(HeadBuildTimeout, match=r"0:01:00.*Permission denied.*head_node_build_timeout_minutes"):
            wait_until_reachable(cluster, SSH)

    def test_wait_fails_with_the_tasks_error_when_head_ends(self, local, make_cluster, monkeypatch):
        ssh_attempts(monkeypatch, ["waiting for SSH"] * 1000)
        cluster = make_cluster()
        make_head(cluster)
        local.advance(BOOT)
        local.hosts.lose(local.hosts.instance_ids[0])

        with pytest.raises(HeadEnded, match="ALLOCATION_LOST"):
            wait_until_reachable(cluster, SSH)

    def test_wait_fails_when_cluster_is_torn_down_meanwhile(self, local, make_cluster, monkeypatch):
        ssh_attempts(monkeypatch, ["waiting for SSH"] * 1000)
        cluster = make_cluster()
        make_head(cluster)
        local.advance(BOOT)
        other = make_cluster()
        other.platform.cancel_work_requirement(other.find().id)

        with pytest.raises(HeadEnded, match="torn down"):
            wait_until_reachable(cluster, SSH)


class TestLateAddress:
    """The platform node of the head has no address when its task starts, or gets another one."""

    @pytest.fixture
    def addresses(self, local, monkeypatch):
        """Sets the addresses that the platform shows from now on, or from some seconds on."""

        def show(private: str | None, public: str | None, after: float = 0.0) -> None:
            real = convert_machines.platform_node_view
            changes_at = local.clock.now() + timedelta(seconds=after)

            def view(node: Node) -> PlatformNodeView:
                seen = real(node)
                return replace(seen, private_ip=private, public_ip=public) if local.clock.now() < changes_at else seen

            monkeypatch.setattr(pools, "platform_node_view", view)

        return show

    @pytest.fixture
    def booted(self, local, make_cluster):
        cluster = make_cluster(head_node_build_timeout_minutes=5)
        make_head(cluster)
        local.advance(BOOT)
        return cluster

    @pytest.mark.parametrize(
        ("first", "after", "ssh"),
        [
            ((None, None), 90.0, SSH),
            ((None, None), 90.0, SshSettings("yd-agent", "key", use_private_ip=True)),
            (("10.9.9.9", None), 30.0, SSH),
            (("10.9.9.9", "203.0.113.9"), 90.0, SSH),
        ],
        ids=["none", "none, private wanted", "no public one", "another"],
    )
    def test_head_is_reached_at_the_address_that_comes_later(
        self, booted, local, addresses, monkeypatch, first, after, ssh
    ):
        addresses(*first, after)
        monkeypatch.setattr(head_wait, "answers", lambda host: host in ("198.18.0.1", "10.0.0.1"))
        monkeypatch.setattr(SshTarget, "run", lambda *_, **__: "")
        started = booted.clock.monotonic()

        target = wait_until_reachable(booted, ssh)

        assert target.host == (booted.snapshot.head.private_ip if ssh.use_private_ip else "198.18.0.1")
        assert booted.clock.monotonic() - started < after + 15

    def test_wait_names_the_missing_address_when_none_comes(self, booted, addresses, monkeypatch):
        addresses(None, None, after=3600)

        with pytest.raises(HeadBuildTimeout, match="the head's task runs; YellowDog does not show its address yet"):
            wait_until_reachable(booted, SSH)


class TestPrivateAddress:
    """The head's task runs, and no SSH server answers."""

    PRIVATE = SshSettings("yd-agent", "key", use_private_ip=True)

    @pytest.fixture
    def waiting(self, local, make_cluster, monkeypatch):
        """Wait for a head that never answers. Returns the seconds since its task started, and the error."""
        monkeypatch.setattr(head_wait, "answers", lambda host: False)

        def wait(ssh: SshSettings) -> tuple[float, HeadError]:
            cluster = make_cluster(head_node_build_timeout_minutes=5)
            make_head(cluster)
            local.advance(BOOT)
            started = cluster.clock.monotonic()
            with pytest.raises(HeadError) as caught:
                wait_until_reachable(cluster, ssh)
            return cluster.clock.monotonic() - started, caught.value

        return wait

    def test_unreachable_private_head_fails_before_timeout(self, waiting):
        seconds, error = waiting(self.PRIVATE)

        assert isinstance(error, HeadUnreachable)
        assert 60 < seconds < 70
        assert "auth.ssh_proxy_command" in str(error)
        assert "provider.use_internal_ips" in str(error)
        assert "\n" not in str(error)

    def test_private_head_times_out_when_ssh_refuses_the_login(self, waiting, monkeypatch):
        monkeypatch.setattr(head_wait, "answers", lambda host: True)
        monkeypatch.setattr(SshTarget, "run", failing_with(SshError("Permission denied (publickey)")))

        _, error = waiting(self.PRIVATE)

        assert isinstance(error, HeadBuildTimeout)
        assert "Permission denied" in str(error)

    @pytest.mark.parametrize("private", [True, False])
    def test_proxy_that_fails_is_reported_before_timeout(self, waiting, private):
        command = "sh -c 'echo no such bastion >&2; exit 1'"

        seconds, error = waiting(SshSettings("yd-agent", "key", command, use_private_ip=private))

        assert isinstance(error, HeadUnreachable)
        assert 60 < seconds < 70
        assert "auth.ssh_proxy_command does not connect to it" in str(error)
        assert "no such bastion" in str(error)
        assert "\n" not in str(error)

    @pytest.mark.parametrize("answer", ["Permission denied (publickey)", "`true` did not end within 20 s"])
    def test_head_behind_a_proxy_times_out_when_its_server_answered(self, waiting, monkeypatch, answer):
        monkeypatch.setattr(SshTarget, "run", failing_with(SshError(f"yd-agent@10.0.0.1: {answer}")))

        _, error = waiting(SshSettings("yd-agent", "key", "ssh -W %h:%p bastion", use_private_ip=True))

        assert isinstance(error, HeadBuildTimeout)
        assert answer in str(error)

    def test_head_with_public_address_times_out(self, waiting):
        _, error = waiting(SSH)

        assert isinstance(error, HeadBuildTimeout)


def test_wait_fails_at_once_when_host_key_changed(local, make_cluster, monkeypatch):
    monkeypatch.setattr(head_wait, "answers", lambda host: True)
    monkeypatch.setattr(SshTarget, "run", failing_with(HostKeyChanged("another host key")))
    cluster = make_cluster()
    make_head(cluster)
    local.advance(BOOT)

    with pytest.raises(HostKeyChanged):
        wait_until_reachable(cluster, SSH)


def test_ssh_target_is_the_node_id_with_ssh_proxy_use_node_id(local, make_cluster):
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


def ssh_attempts(monkeypatch: pytest.MonkeyPatch, answers: list[str | None]) -> list[SshTarget]:
    """Simulated hosts have no SSH: these are the results of successive attempts."""
    attempts: list[SshTarget] = []

    def attempt(target: SshTarget) -> str | None:
        attempts.append(target)
        return answers.pop(0)

    monkeypatch.setattr(head_wait, "try_ssh", attempt)
    return attempts


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
def test_describe_wait_names_the_first_missing_phase(pool, compute, registered, expected):
    assert expected in describe_wait(pool, compute, registered=registered)
