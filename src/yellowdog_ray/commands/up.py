"""How a cluster's head comes up: found or made, watched until SSH answers, and given what it needs to start Ray.

Runs under `ray up` only. It may wait, and says for what.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path, PurePosixPath

from yellowdog_ray import names
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.pools import placement, pool_spec
from yellowdog_ray.cluster.snapshot import ClusterNode, Phase
from yellowdog_ray.commands.configured_pools import check_configured_pools
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.resources import declared_too_much, filled_in
from yellowdog_ray.commands.teardown import dismantle
from yellowdog_ray.config.bootstrap import head_environment
from yellowdog_ray.config.models import NodeConfig, ProviderSettings
from yellowdog_ray.credentials import HEAD_FILE, Credentials
from yellowdog_ray.errors import (
    ClusterNameTaken,
    HeadBuildTimeout,
    HeadEnded,
    HeadUnreachable,
    HostKeyChanged,
    NotFound,
    SshError,
)
from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.node.scripts import HEAD_SCRIPT
from yellowdog_ray.platform.concurrency import side_by_side
from yellowdog_ray.platform.idempotent import add_tasks, make_pool, make_work_requirement
from yellowdog_ray.platform.types import (
    ComputeView,
    PoolView,
    TaskGroupSpec,
    TaskGroupView,
    TaskSpec,
    WorkRequirementView,
)
from yellowdog_ray.remote.ssh import SshTarget, answers

_POLL_SECONDS = 0.2
_LONGEST_POLL_SECONDS = 2.0
_POLLS_PER_WAITED = 0.02  # a machine that has booted for a minute is looked at every second or so

DESCRIBED_SECONDS = 2.0
"""How often it is looked what the head waits for: four calls."""

PRIVATE_PATIENCE_SECONDS = 60.0
"""How long a head whose task runs may be silent at a private address. Its machine has booted long since, so there is no
way from here; SSH may start a little later than the agent."""


def create_head(
    cluster: Cluster, node_config: NodeConfig, tags: Mapping[str, str], progress: Progress, *, v2: bool
) -> None:
    """Bring a cluster's work requirement, head pool and head task into being, or complete what another run began.

    Nothing is made before the key and every node type's template have been found good.

    Raises:
        RayDogError: it cannot be done; what exists then is found again by name.
    """
    check_platform(cluster, progress)
    work = cluster.find()
    if work is not None and is_over(cluster, work):
        progress.say(f"removing what is left of an earlier cluster '{cluster.name}'")
        dismantle(cluster.platform, work, progress, cluster.clock)
        cluster.forget()
        work = None
    tag = names.pool_name(cluster.name, HEAD_GROUP, names.new_token())
    if work is None:
        work = _make_work_requirement(cluster, tag, node_config)
    is_new = require_ours(cluster, work).worker_tag == tag
    if not is_new:
        progress.say(f"completing cluster '{cluster.name}', which another `ray up` has begun")
    cluster.adopt(work)
    _provide_pool(cluster, work.groups[0], node_config, is_new=is_new)
    _add_head(cluster, work, tags, v2=v2)


def check_platform(cluster: Cluster, progress: Progress) -> None:
    """Find out, before anything is made, whether the key works and every node type has what it names, and say so."""
    cluster.platform.account_name()
    internal = cluster.settings.internal
    node_types: dict[str, str] = {}
    for node_type, summary in internal.node_types.items():
        if summary.compute_requirement_template is not None:
            node_types.setdefault(summary.compute_requirement_template, node_type)
    side_by_side(lambda template: _check_template(cluster, template, node_types[template]), node_types)
    warnings = check_configured_pools(cluster.platform, internal)
    for line in filled_in(internal):
        progress.done(line)
    for warning in [*warnings, *declared_too_much(cluster.platform, internal)]:
        progress.done(f"warning: {warning}")


def _check_template(cluster: Cluster, template: str, node_type: str) -> None:
    try:
        cluster.platform.template_id(template)
    except NotFound as error:
        raise NotFound(
            f"{cluster.settings.internal.source}: available_node_types.{node_type}.node_config."
            f"compute_requirement_template: YellowDog has no template '{template}' that this key can see: give the id "
            "or `namespace/name` of one"
        ) from error


def is_over(cluster: Cluster, work: WorkRequirementView) -> bool:
    """Whether this incarnation is on its way out: cancelled, or its head has come and gone.

    Raises:
        ClusterNameTaken: the work requirement is not a RayDog cluster at all.
    """
    group = require_ours(cluster, work)
    if work.cancelling:
        return True
    tasks = cluster.platform.group_tasks(group.id)
    return bool(tasks) and all(task.finished for task in tasks)


def require_ours(cluster: Cluster, work: WorkRequirementView) -> TaskGroupView:
    """Make sure that a work requirement of our name is a RayDog cluster; returns its head's task group.

    Raises:
        ClusterNameTaken: it is something else, and not ours to touch.
    """
    group = work.groups[0] if work.groups else None
    if group is None or not names.is_head_pool(work.name, group.worker_tag):
        raise ClusterNameTaken(
            f"namespace {cluster.platform.namespace} has a work requirement '{work.name}' that is not a RayDog "
            "cluster: choose another cluster_name, or end that work requirement"
        )
    return group


def _make_work_requirement(cluster: Cluster, tag: str, node_config: NodeConfig) -> WorkRequirementView:
    pool = cluster.platform.existing_pool(node_config.worker_pool) if node_config.worker_pool else None
    group = TaskGroupSpec(HEAD_GROUP, tag, cluster.lifetime, placement(pool) if pool else None)
    return make_work_requirement(cluster.platform, cluster.name, cluster.settings.cluster_tag, group)


def _provide_pool(cluster: Cluster, group: TaskGroupView, node_config: NodeConfig, *, is_new: bool) -> None:
    """Make the head's pool if it needs one and has none; a task group that was made just now has none yet."""
    if group.configured or not (is_new or cluster.platform.find_pool(group.worker_tag) is None):
        return
    patience = timedelta(minutes=cluster.settings.head_node_build_timeout_minutes)
    spec = pool_spec(
        cluster.settings,
        node_config,
        group.worker_tag,
        nodes=1,
        max_nodes=1,
        # An instance that runs and has not registered yet may leave its pool idle: the pool gets the time that
        # `ray up` waits. It ends before the boot has timed out, since the waiting task would get another instance.
        boot_timeout=2 * patience,
        idle_pool_timeout=patience,
    )
    make_pool(cluster.platform, spec)


def _add_head(cluster: Cluster, work: WorkRequirementView, tags: Mapping[str, str], *, v2: bool) -> None:
    group = work.groups[0]
    node_id = names.head_id(names.token_of(group.worker_tag))
    script = cluster.settings.ray_head_node_task_script or HEAD_SCRIPT
    environment = head_environment(node_id, tags, work.id, cluster.settings, v2=v2)
    head = TaskSpec(node_id, script, environment, cluster.lifetime)
    cluster.remember(add_tasks(cluster.platform, group.id, [head]), tags)
    _check_same_head(cluster, tags)


def _check_same_head(cluster: Cluster, tags: Mapping[str, str]) -> None:
    """Of two simultaneous `ray up` with different configurations, one must hear of the other."""
    head = cluster.refresh().head
    if head is None:
        raise HeadEnded(_why_ended(cluster))
    if dict(head.tags) != dict(tags):
        raise ClusterNameTaken(
            f"another `ray up` with a different configuration is making cluster '{cluster.name}' at this moment: "
            "wait for it and run `ray up` again, or choose another cluster_name"
        )


@dataclass(frozen=True)
class SshSettings:
    """How the head is to be reached."""

    user: str
    private_key: str
    proxy_command: str | None = None
    use_private_ip: bool = False
    use_node_id: bool = False

    def target(self, head: ClusterNode | None) -> SshTarget | None:
        """Where SSH leads to this head, or None while it has no address."""
        if head is None:
            return None
        address = head.private_ip if self.use_private_ip else head.public_ip or head.private_ip
        if address is None:
            return None
        host = head.id if self.use_node_id else address
        return SshTarget(self.user, host, self.private_key, head.id, self.proxy_command)

    def is_private(self, head: ClusterNode) -> bool:
        """Whether SSH goes straight to an address that only a network of the head's own knows."""
        return not self.proxy_command and (self.use_private_ip or head.public_ip is None)


def wait_until_reachable(cluster: Cluster, ssh: SshSettings, progress: Progress) -> SshTarget:
    """Wait until the head's task runs and its host lets us in by SSH.

    Raises:
        HeadEnded: the head's task has ended, or the cluster was taken down meanwhile.
        HeadBuildTimeout: `head_node_build_timeout_minutes` are over.
        HeadUnreachable: it has only a private address, and does not answer there.
        HostKeyChanged: another host answers in its place.
    """
    limit = timedelta(minutes=cluster.settings.head_node_build_timeout_minutes)
    started = cluster.clock.monotonic()
    running_since, described_at = math.inf, -math.inf
    waiting_for: str | None = None
    while True:
        head = cluster.refresh().head
        if head is None:
            raise HeadEnded(_why_ended(cluster))
        target = ssh.target(head) if head.phase is Phase.RUNNING else None
        now = cluster.clock.monotonic()
        if target:
            waiting_for = _knock(target)
            if waiting_for is None:
                return target
        elif now - described_at >= DESCRIBED_SECONDS:
            waiting_for, described_at = _describe(cluster, head), now
        running_since = min(running_since, now) if target else running_since
        if now - running_since > PRIVATE_PATIENCE_SECONDS and target and ssh.is_private(head):
            _check_way_in(cluster, target)
        if now - started > limit.total_seconds():
            raise HeadBuildTimeout(
                f"the head of cluster '{cluster.name}' was not reachable within {limit}: {waiting_for}. Look at "
                "the worker pool in YellowDog's portal, or raise provider.head_node_build_timeout_minutes"
            )
        progress.say(str(waiting_for))
        cluster.clock.sleep(min(_LONGEST_POLL_SECONDS, max(_POLL_SECONDS, (now - started) * _POLLS_PER_WAITED)))


def _check_way_in(cluster: Cluster, target: SshTarget) -> None:
    if answers(target.host):
        return  # then the network is not what is amiss
    raise HeadUnreachable(
        f"the head of cluster '{cluster.name}' runs, but no network leads from this machine to its private address "
        f"{target.host}: set auth.ssh_proxy_command to a way through a host that can be reached, such as `ssh -W "
        "%h:%p user@bastion`; or run `ray up` inside that network; or let the template give the head a public address "
        "and leave out provider.use_internal_ips"
    )


def _knock(target: SshTarget) -> str | None:
    """Try SSH once. Returns what to tell the user while it fails, None when it works."""
    if not target.proxy_command and not answers(target.host):
        return f"the head's task runs; waiting for SSH at {target.host}"
    try:
        target.run("true", timeout=20)
    except HostKeyChanged:
        raise
    except SshError as error:
        return f"the head's task runs; waiting for SSH: {error}"
    return None


def _describe(cluster: Cluster, head: ClusterNode) -> str:
    summary = cluster.settings.internal.node_types.get(head.node_type)
    if summary is not None and summary.worker_pool is not None:
        return f"worker pool {summary.worker_pool}: waiting for a platform node that is free for the head's task"
    pool = cluster.platform.find_pool(names.pool_name(cluster.name, HEAD_GROUP, names.token_of(head.id)))
    compute = cluster.platform.compute(pool.compute_requirement_id) if pool and pool.compute_requirement_id else None
    registered = bool(pool and cluster.platform.platform_nodes(pool.id))
    return describe_wait(pool, compute, registered=registered)


def describe_wait(pool: PoolView | None, compute: ComputeView | None, *, registered: bool) -> str:
    """Say which step the head is waiting for, in the order: pool, instance, platform node, task."""
    if pool is None or compute is None:
        return "waiting for the worker pool"
    complaint = f" ({'; '.join(compute.messages)})" if compute.messages else ""
    if pool.finished:
        return f"worker pool {pool.name} has ended ({pool.status}) before the head ran{complaint}"
    if "RUNNING" not in compute.instance_statuses:
        state = ", ".join(compute.instance_statuses) or f"requirement {compute.status}"
        return f"worker pool {pool.name}: waiting for the instance ({state}){complaint}"
    if not registered:
        return f"worker pool {pool.name}: instance runs; waiting for its agent to register the platform node"
    return f"worker pool {pool.name}: platform node registered; waiting for the head's task to start"


def _why_ended(cluster: Cluster) -> str:
    text = f"the head of cluster '{cluster.name}' has ended"
    work = cluster.last()
    group = work.group(HEAD_GROUP) if work else None
    if work is None or group is None or work.finished or work.cancelling:
        return f"{text}: it was taken down while this command was waiting"
    reasons = [f"{task.status} {'; '.join(task.errors)}".strip() for task in cluster.platform.group_tasks(group.id)]
    return f"{text} ({', '.join(reasons)}): its script is provider.ray_head_node_task_script"


def deliver(target: SshTarget, credentials: Credentials, settings: ProviderSettings) -> None:
    """Give the head what its autoscaler needs and no task may carry: the API key, and the user's extra files.

    Raises:
        SshError: a file could not be written.
    """
    target.write_secret(credentials.as_dotenv(), PurePosixPath(HEAD_FILE).relative_to("~").as_posix())
    upload_files(target, settings.files_to_upload)


def upload_files(target: SshTarget, files: list[str] | dict[str, str]) -> None:
    """Copy the user's extra files.

    Args:
        target: the head.
        files: local paths, or local paths by remote path. A listed relative path keeps its place below the head's
            home; any other listed path goes straight into the home.
    """
    if isinstance(files, list):
        files = {Path(file).name if file.startswith(("/", "~", "..")) else file: file for file in files}
    for remote, local in files.items():
        target.upload(local, remote.removeprefix("~/"))
