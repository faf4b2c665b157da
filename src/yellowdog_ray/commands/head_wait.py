"""`ray up` waits here: until the head's task runs and its host accepts SSH. Reports what it waits for."""

from __future__ import annotations

import math
from datetime import timedelta

from yellowdog_ray import names
from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.snapshot import ClusterNode, Phase
from yellowdog_ray.commands.access import SshSettings
from yellowdog_ray.commands.past import why_head_ended
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.config.models import ProviderSettings
from yellowdog_ray.errors import HeadBuildTimeout, HeadEnded, HeadUnreachable, HostKeyChanged, PlatformError, SshError
from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import ComputeView, PoolView
from yellowdog_ray.remote.ssh import SshTarget, answers

_POLL_SECONDS = 0.2
_LONGEST_POLL_SECONDS = 2.0
_POLL_SHARE = 0.02  # of the time waited: after a minute of booting, about one poll per second

DESCRIBE_INTERVAL_SECONDS = 2.0
"""Seconds between two descriptions of the phase that the head is in: four calls each."""

UNREACHABLE_TIMEOUT_SECONDS = 60.0
"""Seconds without SSH after which a private address, or a head behind a proxy, counts as unreachable, once the head's
task runs. The machine booted long before; only SSH may start a little later than the agent."""

_SERVER_ANSWERED = ("Permission denied", "Too many authentication failures", "`true` ")
"""Parts of the messages of OpenSSH, and of `SshTarget.run`, that come after a server has answered."""


class HeadWait:
    """Waits for the head of one cluster.

    Args:
        platform: the platform.
        cluster: the cluster.
        settings: the `provider` section.
        clock: time.
        progress: shows what the command waits for.
    """

    def __init__(
        self, platform: Platform, cluster: Cluster, settings: ProviderSettings, clock: Clock, progress: Progress
    ) -> None:
        self._platform = platform
        self._cluster = cluster
        self._settings = settings
        self._clock = clock
        self._progress = progress

    def until_reachable(self, ssh: SshSettings) -> SshTarget:
        """Wait until the head's task runs and its host accepts our SSH login.

        Raises:
            HeadEnded: the head's task ended, or the cluster was torn down meanwhile.
            HeadBuildTimeout: `head_node_build_timeout_minutes` passed.
            HeadUnreachable: the head has only a private address, and nothing answers there; or the proxy command
                does not connect to it.
            HostKeyChanged: another host answers at its address.
        """
        limit = timedelta(minutes=self._settings.head_node_build_timeout_minutes)
        started = self._clock.monotonic()
        running_since, described_at = math.inf, -math.inf
        waiting_for: str | None = None
        while True:
            head = self._cluster.refresh().head
            if head is None:
                raise HeadEnded(why_head_ended(self._platform, self._cluster))
            target = ssh.target(head) if head.phase is Phase.RUNNING else None
            now = self._clock.monotonic()
            if target:
                waiting_for = try_ssh(target)
                if waiting_for is None:
                    return target
            elif now - described_at >= DESCRIBE_INTERVAL_SECONDS:
                waiting_for, described_at = self._describe(head), now
            running_since = min(running_since, now) if target else running_since
            if now - running_since > UNREACHABLE_TIMEOUT_SECONDS and target and ssh.needs_route(head):
                self._require_route(target, str(waiting_for))
            if now - started > limit.total_seconds():
                raise HeadBuildTimeout(
                    f"the head of cluster '{self._cluster.name}' was not reachable within {limit}: {waiting_for}. Look "
                    "at the worker pool in YellowDog's portal, or raise provider.head_node_build_timeout_minutes"
                )
            self._progress.update(str(waiting_for))
            self._clock.sleep(min(_LONGEST_POLL_SECONDS, max(_POLL_SECONDS, (now - started) * _POLL_SHARE)))

    def _require_route(self, target: SshTarget, waiting_for: str) -> None:
        if target.proxy_command:
            self._require_proxy(waiting_for)
            return
        if answers(target.host):
            return  # the network is fine
        raise HeadUnreachable(
            f"the head of cluster '{self._cluster.name}' runs, but this machine has no route to its private address "
            f"{target.host}. Set auth.ssh_proxy_command to a command that connects through a reachable host, such as "
            "`ssh -W %h:%p user@bastion`. Or run `ray up` inside that network, or let the template give the head a "
            "public address and remove provider.use_internal_ips"
        )

    def _require_proxy(self, waiting_for: str) -> None:
        if any(text in waiting_for for text in _SERVER_ANSWERED):
            return  # the proxy leads to the head
        raise HeadUnreachable(
            f"the head of cluster '{self._cluster.name}' runs, but auth.ssh_proxy_command does not connect to it "
            f"({'; '.join(waiting_for.splitlines())}). Run that command by itself with the head's address, and correct "
            "it"
        )

    def _describe(self, head: ClusterNode) -> str:
        """The phase that the head waits for. It only informs, so a failure is no reason to stop waiting."""
        if head.phase is Phase.RUNNING:
            return "the head's task runs; YellowDog does not show its address yet"
        try:
            return self._phase(head)
        except PlatformError as error:
            return f"waiting for the head; what it waits for cannot be read: {error}"

    def _phase(self, head: ClusterNode) -> str:
        summary = self._settings.internal.node_types.get(head.node_type)
        if summary is not None and summary.worker_pool is not None:
            return f"worker pool {summary.worker_pool}: waiting for a platform node that is free for the head's task"
        pool = self._platform.find_pool(names.pool_name(self._cluster.name, HEAD_GROUP, names.token_of_head(head.id)))
        compute = self._platform.compute(pool.compute_requirement_id) if pool and pool.compute_requirement_id else None
        registered = bool(pool and self._platform.platform_nodes(pool.id))
        return describe_wait(pool, compute, registered=registered)


def try_ssh(target: SshTarget) -> str | None:
    """Try SSH once. Returns what to report while it fails, None when it works.

    Raises:
        HostKeyChanged: another host answers.
    """
    if not target.proxy_command and not answers(target.host):
        return f"the head's task runs; waiting for SSH at {target.host}"
    try:
        target.run("true", timeout=20)
    except HostKeyChanged:
        raise
    except SshError as error:
        return f"the head's task runs; waiting for SSH: {error}"
    return None


def describe_wait(pool: PoolView | None, compute: ComputeView | None, *, registered: bool) -> str:
    """The phase that the head waits for: pool, instance, platform node or task, the first that is missing."""
    if pool is None or compute is None:
        return "waiting for the worker pool"
    errors = f" ({'; '.join(compute.messages)})" if compute.messages else ""
    if pool.finished:
        return f"worker pool {pool.name} has ended ({pool.status}) before the head ran{errors}"
    if "RUNNING" not in compute.instance_statuses:
        state = ", ".join(compute.instance_statuses) or f"requirement {compute.status}"
        return f"worker pool {pool.name}: waiting for the instance ({state}){errors}"
    if not registered:
        return f"worker pool {pool.name}: instance runs; waiting for its agent to register the platform node"
    return f"worker pool {pool.name}: platform node registered; waiting for the head's task to start"
