"""How a cluster's head comes up: found or made, watched until SSH answers, and given what it needs to start Ray.

Runs under `ray up` only. It may wait, and says for what.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from yellowdog_ray import names
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.pools import placement, pool_spec
from yellowdog_ray.commands.configured_pools import check_configured_pools
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.resources import declared_too_much, filled_in
from yellowdog_ray.commands.teardown import dismantle
from yellowdog_ray.commands.wait import why_ended
from yellowdog_ray.config.environment import head_environment
from yellowdog_ray.config.models import NodeConfig
from yellowdog_ray.errors import (
    ClusterNameTaken,
    HeadEnded,
    NotFound,
)
from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.node.scripts import HEAD_SCRIPT
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.idempotent import add_tasks, make_pool, make_work_requirement
from yellowdog_ray.platform.types import (
    TaskGroupSpec,
    TaskGroupView,
    TaskSpec,
    WorkRequirementView,
)


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
    run_concurrently(lambda template: _check_template(cluster, template, node_types[template]), node_types)
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
        raise HeadEnded(why_ended(cluster))
    if dict(head.tags) != dict(tags):
        raise ClusterNameTaken(
            f"another `ray up` with a different configuration is making cluster '{cluster.name}' at this moment: "
            "wait for it and run `ray up` again, or choose another cluster_name"
        )
