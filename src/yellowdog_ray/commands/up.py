"""`ray up`: create the work requirement, provision the head pool and submit the head task, or complete these."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from yellowdog_ray import names
from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.generations import create_work, require_ours
from yellowdog_ray.cluster.pools import placement, pool_spec
from yellowdog_ray.commands.configured_pools import check_configured_pools
from yellowdog_ray.commands.leftovers import Created
from yellowdog_ray.commands.machine_sizes import describe_origins, excess_warnings
from yellowdog_ray.commands.machine_tags import tag_warnings
from yellowdog_ray.commands.past import why_head_ended
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.teardown import tear_down
from yellowdog_ray.config.environment import head_environment, head_task_script
from yellowdog_ray.config.models import ProviderSettings
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.credentials import DEFAULT_URL
from yellowdog_ray.errors import ClusterNameTaken, HeadEnded, NotFound, RayDogError, Refused
from yellowdog_ray.names import HEAD_GROUP
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.idempotent import provision_pool, submit_tasks
from yellowdog_ray.platform.types import TaskGroupSpec, TaskGroupView, TaskSpec, WorkRequirementView

ABANDONED = timedelta(minutes=5)
"""Age from which no `ray up` completes a work requirement without a head. Its pool may have ended, and the
platform may have removed its head. A `ray up` that runs submits its head sooner: a call is retried for 30 s."""


def check_platform(platform: Platform, settings: ProviderSettings, progress: Progress) -> None:
    """Check, before anything is created, the API key and every node type's template or pool. Reports warnings."""
    internal = settings.internal
    if platform.url != DEFAULT_URL:
        progress.report(f"the platform, and the receiver of the API key, is {platform.url}")
    platform.account_name()
    node_types: dict[str, str] = {}
    for node_type, summary in internal.node_types.items():
        if summary.compute_requirement_template is not None:
            node_types.setdefault(summary.compute_requirement_template, node_type)
    run_concurrently(
        lambda template: check_template(platform, internal.source, template, node_types[template]), node_types
    )
    warnings = check_configured_pools(platform, internal)
    for line in describe_origins(internal):
        progress.report(line)
    for warning in [*warnings, *excess_warnings(platform, internal), *tag_warnings(platform, settings)]:
        progress.report(f"warning: {warning}")


def check_template(platform: Platform, source: str, template: str, node_type: str) -> None:
    """Check that a node type's template exists, where `source` is the YAML's name.

    Raises:
        NotFound: the key can read no such template.
    """
    try:
        platform.template_id(template)
    except NotFound as error:
        raise NotFound(
            f"{source}: available_node_types.{node_type}.node_config.compute_requirement_template: YellowDog "
            f"has no template '{template}' that is visible to this key: give the id or `namespace/name` of one"
        ) from error


class HeadCreation:
    """Creates the head of one cluster.

    Args:
        platform: the platform.
        cluster: the cluster.
        settings: the `provider` section.
        clock: time.
        progress: shows what the command waits for.

    Attributes:
        created: what it has created so far.
    """

    def __init__(
        self, platform: Platform, cluster: Cluster, settings: ProviderSettings, clock: Clock, progress: Progress
    ) -> None:
        self._platform = platform
        self._cluster = cluster
        self._settings = settings
        self._clock = clock
        self._progress = progress
        self.created = Created()

    def create(self, node_config: NodeConfig, tags: Mapping[str, str], *, v2: bool) -> None:
        """Create the work requirement, provision the head pool and submit the head task, or complete another run's.

        Creates nothing before the API key and every node type's template are checked.

        Raises:
            Refused: the platform declined a part. If it was the head's task, everything created here was removed.
            RayDogError: a call failed, or the configuration is unusable. Objects created so far are found by name.
        """
        check_platform(self._platform, self._settings, self._progress)
        work = self._living()
        tag = names.pool_name(self._cluster.name, HEAD_GROUP, names.new_token())
        if work is None:
            work = self._create_work_requirement(tag, node_config)
        is_new = require_ours(self._platform, self._cluster.name, work).worker_tag == tag
        if not is_new:
            self._progress.update(f"completing cluster '{self._cluster.name}', which another `ray up` began")
        self._cluster.adopt(work)
        self._provide_pool(work.groups[0], node_config, is_new=is_new)
        try:
            self._submit_head(work, tags, v2=v2)
        except Refused as error:
            if is_new:
                self._remove(work, error)
            raise
        self._check_same_head(tags)

    def _remove(self, work: WorkRequirementView, reason: Refused) -> None:
        """Remove a cluster whose head's task was refused: its pool costs money, and no `ray up` could use it.

        Another `ray up` may have submitted its own head to it meanwhile; then it stays.
        """
        try:
            if self._platform.group_tasks(work.groups[0].id):
                return
            self._progress.update("the head's task was refused: removing the cluster")
            tear_down(self._platform, work, self._progress, self._clock)
        except RayDogError as error:
            raise Refused(f"{reason}. The cluster could not be removed: run `ray down`. {error}") from reason
        self.created.removed()
        self._cluster.reset()

    def _living(self) -> WorkRequirementView | None:
        """The cluster of this name, or None. A cluster that is about to end is torn down first."""
        work = self._cluster.find()
        if work is None or not self._is_over(work):
            return work
        self._progress.update(f"tearing down the rest of an earlier cluster '{self._cluster.name}'")
        tear_down(self._platform, work, self._progress, self._clock)
        self._cluster.reset()
        return None

    def _is_over(self, work: WorkRequirementView) -> bool:
        """Whether this work requirement is about to end: cancelled, or its head has ended or cannot start any more.

        Raises:
            ClusterNameTaken: the work requirement is not a RayDog cluster.
        """
        group = require_ours(self._platform, self._cluster.name, work)
        if work.cancelling:
            return True
        tasks = self._platform.group_tasks(group.id)
        if tasks:
            return all(task.finished for task in tasks)
        # A list may lack the head: only what the platform counts shows that it has ended and was removed, or never was.
        if group.counts is None or group.counts.live:
            return False
        is_old = work.created is not None and self._platform.clock.now() - work.created > ABANDONED
        return is_old or bool(group.counts.ended)

    def _create_work_requirement(self, tag: str, node_config: NodeConfig) -> WorkRequirementView:
        pool = self._platform.existing_pool(node_config.worker_pool) if node_config.worker_pool else None
        group = TaskGroupSpec(HEAD_GROUP, tag, self._settings.lifetime, placement(pool) if pool else None)
        with self.created.creating(f"work requirement {self._cluster.name}"):
            return create_work(self._platform, self._cluster.name, self._settings.cluster_tag, group)

    def _provide_pool(self, group: TaskGroupView, node_config: NodeConfig, *, is_new: bool) -> None:
        """Provision the head's pool if it needs one and has none. A task group added just now has none yet."""
        if group.configured or not (is_new or self._platform.find_pool(group.worker_tag) is None):
            return
        timeout = timedelta(minutes=self._settings.head_node_build_timeout_minutes)
        spec = pool_spec(
            self._cluster.name,
            self._settings,
            node_config,
            group.worker_tag,
            nodes=1,
            max_nodes=1,
            # A pool may be idle while its instance runs and has not registered: so it gets the time that `ray up`
            # waits. It ends before the boot timeout, after which the pending task would get another instance.
            boot_timeout=2 * timeout,
            idle_pool_timeout=timeout,
        )
        with self.created.creating(f"worker pool {group.worker_tag}"):
            provision_pool(self._platform, spec)

    def _submit_head(self, work: WorkRequirementView, tags: Mapping[str, str], *, v2: bool) -> None:
        group = work.groups[0]
        node_id = names.head_id(names.token_of(group.worker_tag))
        environment = head_environment(node_id, tags, work.id, self._settings, v2=v2)
        head = TaskSpec(node_id, head_task_script(self._settings), environment, self._settings.lifetime)
        self._cluster.add(submit_tasks(self._platform, group.id, [head]), tags)

    def _check_same_head(self, tags: Mapping[str, str]) -> None:
        """Detect another `ray up` that runs at this moment with a different configuration."""
        head = self._cluster.refresh().head
        if head is None:
            raise HeadEnded(why_head_ended(self._platform, self._cluster))
        if dict(head.tags) != dict(tags):
            raise ClusterNameTaken(
                f"another `ray up` with a different configuration is creating cluster '{self._cluster.name}' at this "
                "moment: wait for it and run `ray up` again, or choose another cluster_name"
            )
