"""The provider on the user's machine, under one `ray` command: reaches nodes by SSH, and waits for what it begins.

Modules that load the platform's SDK are imported at their first use: every `ray` command imports this one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, NoReturn

import click
from ray.autoscaler._private.cli_logger import cli_logger
from ray.autoscaler.tags import NODE_KIND_HEAD, STATUS_UP_TO_DATE, TAG_RAY_NODE_KIND, TAG_RAY_NODE_STATUS

from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.snapshot import Phase, Snapshot
from yellowdog_ray.commands.access import NodeAccess, ssh_settings
from yellowdog_ray.commands.cluster_token import ClusterToken, delete_token, token_file
from yellowdog_ray.commands.context import (
    drop_cached_config,
    ends_the_cluster,
    local_need,
    requires_head,
    restarts_only,
    wants_v2,
)
from yellowdog_ray.commands.down import AfterRayDown, TeardownRunner
from yellowdog_ray.commands.leftovers import Created, report_if_command_fails
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.config.bootstrap import check_cluster_name
from yellowdog_ray.config.local_files import Need
from yellowdog_ray.config.models import ProviderSettings, parse_usable_provider
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.credentials import load_credentials
from yellowdog_ray.errors import (
    ConfigError,
    HeadEnded,
    HeadError,
    HeadOutdated,
    NotAuthorised,
    PlatformError,
    RayDogError,
    SshError,
    TeardownIncomplete,
)
from yellowdog_ray.lazy import lazy
from yellowdog_ray.node.authentication import MODE_TOKEN
from yellowdog_ray.node.scripts import STARTS_RAY
from yellowdog_ray.platform.retry import RetryPolicy
from yellowdog_ray.remote.tags import TagStore, TunnelledPort
from yellowdog_ray.side import Side

if TYPE_CHECKING:
    from yellowdog_ray.cluster.cluster import Cluster
    from yellowdog_ray.commands.reconfigure import Changes
    from yellowdog_ray.platform.types import WorkRequirementView

RETRY_SECONDS = 30.0
"""How long platform calls are retried: a command waits rather than fails."""


class LaptopSide(Side):
    """The duties of the user's machine.

    Args:
        provider_config: the YAML's `provider` section.
        cluster_name: the YAML's `cluster_name`.
        source: the YAML's name, for messages.
        clock: time.
    """

    def __init__(self, provider_config: dict[str, Any], cluster_name: str, source: str, clock: Clock) -> None:
        super().__init__(provider_config, cluster_name, source, clock)
        self._after_ray_down = AfterRayDown(self.tear_down)
        self._end_requested = False
        self._ending_id: str | None = None
        self._created_head = False
        self._created: Created | None = None

    @lazy
    def access(self) -> NodeAccess:
        """How nodes are reached by SSH."""
        settings = self.settings.current
        ssh = ssh_settings(settings, self._provider_config)
        return NodeAccess(
            self._cluster_name, ssh, settings.head_node_tag_server_port, lambda: self.cluster.snapshot.head
        )

    @lazy
    def token(self) -> ClusterToken:
        """The cluster's token for `ray up`. Its sources are read once."""
        return ClusterToken(self.settings.current, self._cluster_name)

    def _parse_settings(self) -> ProviderSettings:
        """The settings; for a command on an existing cluster, without the keys that have mistakes."""
        check_cluster_name(self._cluster_name, self._source)
        if local_need() is not Need.EVERYTHING:
            return parse_usable_provider(self._provider_config, self._source)
        settings = super()._parse_settings()
        if settings.internal.is_partial:
            drop_cached_config(self._provider_config)
            raise ConfigError(
                f"{self._source}: an interrupted command has left a configuration in Ray's cache that is not complete. "
                "It is deleted: run this command again"
            )
        return settings

    def _retry_policy(self) -> RetryPolicy:
        return RetryPolicy(RETRY_SECONDS)

    def _make_cluster(self) -> Cluster:
        from yellowdog_ray.cluster.cluster import Identity
        from yellowdog_ray.cluster.executors import BlockingExecutor

        return self._cluster_of(Identity(self._cluster_name), BlockingExecutor(), adopts=False)

    def _make_tag_store(self) -> TagStore:
        return TagStore(self._cluster_name, TunnelledPort(self.access.open_tunnel))

    def translate(self, error: RayDogError) -> Exception | None:
        """Let a `ray` command end with one message instead of a traceback."""
        return click.ClickException(str(error))

    # Listing

    def list_nodes(self, tag_filters: Mapping[str, str]) -> list[str]:
        """Ids of the nodes whose tags include all of these, by a fresh reading of the platform."""
        self._after_ray_down.observe_listing(tag_filters)
        listed = super().list_nodes(tag_filters)
        if not listed and dict(tag_filters) == {TAG_RAY_NODE_KIND: NODE_KIND_HEAD} and requires_head():
            self._explain_missing_head()
        return listed

    def _explain_missing_head(self) -> None:
        """End a command that needs a head with the reason for its absence. Of an unknown cluster Ray reports enough."""
        from yellowdog_ray.commands.past import why_no_head

        with contextlib.suppress(PlatformError):
            if reason := why_no_head(self.platform, self.cluster):
                raise HeadEnded(reason)

    def _read(self) -> Snapshot:
        if self._end_requested:
            # Ray would list again and again, 5 s apart; `tear_down` waits for the end.
            return Snapshot()
        drop_cached_config(self._provider_config)
        try:
            snapshot = self.cluster.refresh()
        except PlatformError as error:
            if not ends_the_cluster():
                raise
            if isinstance(error, NotAuthorised) and self._is_key_refused():
                # Ray would report that no nodes remain.
                raise self._not_removed(error) from error
            # `tear_down` needs no list of nodes, and reports what it cannot do.
            cli_logger.warning("{}", f"the cluster's nodes cannot be listed, and end with the cluster: {error}")
            return Snapshot()
        self._read_tags(snapshot)
        return snapshot

    def _is_key_refused(self) -> bool:
        """Whether the platform refuses the API key altogether, and not one kind of call: one call."""
        try:
            self.platform.account_name()
        except PlatformError as error:
            return isinstance(error, NotAuthorised)
        return False

    def _read_tags(self, snapshot: Snapshot) -> None:
        head = snapshot.head
        if head is None or head.phase is not Phase.RUNNING or head.private_ip is None:
            return
        if not ends_the_cluster() and (self.tag_store.refresh() or self.tag_store.get(head.id)):
            return
        # The platform shows that the head runs, and nothing else is known here: `ray get-head-ip` and `ray down` must
        # work when SSH does not.
        self.tag_store.cache(head.id, {TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE})

    def is_terminated(self, node_id: str) -> bool:
        """Whether the node is gone, by a fresh reading: nothing else lists meanwhile."""
        with contextlib.suppress(PlatformError):  # a failed reading does not show that a node is gone
            self.cluster.refresh()
        return super().is_terminated(node_id)

    # `ray up`

    def create_head(self, node_config: NodeConfig, tags: Mapping[str, str]) -> None:
        """Create the cluster with its head, or complete what another `ray up` has begun."""
        from yellowdog_ray.commands.up import HeadCreation

        self._end_requested = False
        if self.settings.current.auth_mode == MODE_TOKEN:
            self.token.check_file()
        progress = Progress()
        creation = HeadCreation(self.platform, self.cluster, self.settings.current, self._clock, progress)
        self._created = creation.created
        report_if_command_fails(lambda: creation.created.names)
        creation.create(node_config, tags, v2=wants_v2())
        self._created_head = True
        for node_id in self.cluster.snapshot.nodes:
            # Until the head's tag store runs, its status is the one that Ray has just given.
            self.tag_store.cache(node_id, {TAG_RAY_NODE_STATUS: tags[TAG_RAY_NODE_STATUS]})
        progress.report(f"cluster '{self._cluster_name}' is on YellowDog, with its work requirement and head pool")

    def prepare_head(self, cluster_config: dict[str, Any]) -> dict[str, Any]:
        """Wait for the head, send it the API key and the user's files, and adapt the configuration to it."""
        from yellowdog_ray.commands import dependencies, versions
        from yellowdog_ray.commands.deliver import deliver, for_the_head
        from yellowdog_ray.commands.exposure import exposure
        from yellowdog_ray.commands.head_wait import HeadWait
        from yellowdog_ray.remote.head_files import Authentication
        from yellowdog_ray.remote.package import other_installations, own_package, upgrade_report

        changes = self._check_changes()
        mode = changes.auth_mode
        proposed = self.token.proposed if mode == MODE_TOKEN else ""
        ssh = self.access.ssh
        if ssh is None:
            raise SshError(f"cluster '{self._cluster_name}': SSH to the head needs the YAML's section auth")
        progress = Progress()
        wait = HeadWait(self.platform, self.cluster, self.settings.current, self._clock, progress)
        try:
            with ThreadPoolExecutor(1) as background:
                background.submit(self.tag_store.prepare)
                packing, names = background.submit(own_package), background.submit(dependencies.all_names)
                target = wait.until_reachable(ssh)
                package = packing.result()
                reading = background.submit(versions.on, target, names.result(), dependencies.folder_of(package))
                authentication = Authentication(mode, target.node_id, proposed)
                delivered = deliver(target, load_credentials(), self.settings.current, authentication, package)
            theirs = reading.result()
            if changes.takes_package:
                versions.require_python(theirs)
                dependencies.supply(target, package, dependencies.missing(theirs), progress)
            elif reason := versions.refusal(theirs, needs_tokens=mode == MODE_TOKEN):
                raise HeadOutdated(reason)
            warnings = versions.warnings(versions.here(), theirs, needs_tokens=mode == MODE_TOKEN)
            reports = self.token.adopt(delivered.token) if mode == MODE_TOKEN else []
        except HeadError as error:
            self._roll_back(progress, error)
            raise
        except (ConfigError, OSError) as error:
            failure = HeadError(str(error) or type(error).__name__)
            if self._created is not None and self._created.names:  # not where it completed another's cluster
                self._roll_back(progress, failure)
            raise failure from error
        self.access.succeeded()
        for warning in filter(None, [*warnings, *other_installations(), exposure(self.cluster.snapshot.head, mode)]):
            cli_logger.warning("{}", warning)
        progress.report(f"the head is reachable at {target.host}")
        restarts = self.settings.current.internal.head_updater == STARTS_RAY
        upgrade = upgrade_report(package, delivered.running, restarts=restarts, takes_package=changes.takes_package)
        for report in filter(None, [*reports, upgrade]):
            progress.report(report)
        return for_the_head(cluster_config)

    def _check_changes(self) -> Changes:
        """Refuse what a cluster that runs cannot take on, before anything is sent to its head."""
        from yellowdog_ray.commands.reconfigure import Changes, check_changes, restart_error
        from yellowdog_ray.commands.up import check_platform

        settings = self.settings.current
        if self._created_head:
            return Changes([], settings.auth_mode)
        if settings.internal.head_updater != STARTS_RAY:
            if restarts_only():
                raise restart_error(settings.internal.source)
            Progress().report("Ray on the head runs on: `ray up` restarts nothing there")
        check_platform(self.platform, settings, Progress())
        changes = check_changes(self.platform, self.cluster, settings, v2=wants_v2())
        for warning in changes.warnings:
            cli_logger.warning("{}", warning)
        return changes

    def _roll_back(self, progress: Progress, reason: HeadError) -> None:
        """Remove what this very command has created; a cluster that was there before stays as it is."""
        if not self._created_head:
            return
        from yellowdog_ray.commands.teardown import tear_down

        progress.update("the head did not come up: removing the cluster")
        try:
            work = self.cluster.last()  # its pools may outlive a work requirement that has ended
            unseen = tear_down(self.platform, work, progress, self._clock) if work is not None else ()
            if self._created is not None and not unseen:
                self._created.removed()
        except RayDogError as error:
            raise HeadError(f"{reason}. The cluster could not be removed: run `ray down`. {error}") from error

    # Terminating, and `ray down`

    def terminate_node(self, node_id: str) -> None:
        """Terminate a node, but not the head: `ray up` requests that in order to create another."""
        from yellowdog_ray.commands.reconfigure import head_replacement_error

        head = self.cluster.snapshot.head
        if head is not None and head.id == node_id:
            raise head_replacement_error(self._cluster_name, self.settings.current.internal.source, head)
        self.terminate_nodes([node_id])

    def terminate_nodes(self, node_ids: list[str]) -> None:
        """Terminate nodes. With the head among them the whole cluster ends, with what no listing has shown yet."""
        head = self.cluster.snapshot.head
        if head is None or head.id not in node_ids:
            self.cluster.terminate(node_ids)
        else:
            self._request_end()

    def _request_end(self) -> None:
        from yellowdog_ray.cluster.ending import request_end

        work = self.cluster.find()
        if work is not None:
            self._ending_id = work.id
            for failure in request_end(self.platform, work):
                cli_logger.warning("{}", f"{failure}: `ray down` tries again")
        self._end_requested = True

    def tear_down(self) -> None:
        """End the whole cluster, wait until the platform shows nothing alive, and report it."""
        from yellowdog_ray.commands.after_teardown import require_last, require_no_newer_token
        from yellowdog_ray.commands.teardown import outcome, tear_down

        namespace = self.settings.current.cluster_namespace
        token = token_file(namespace, self._cluster_name)
        progress = Progress()
        unseen: Sequence[str] = ()
        try:
            work = self._youngest()
            if work is not None:
                unseen = tear_down(self.platform, work, progress, self._clock)
                self.cluster.reset()
            text = outcome(self._cluster_name, namespace, found=work is not None, unseen=unseen)
            if work is None or (work.finished and work.id != self._ending_id):
                require_no_newer_token(self.platform, token, work, text)
            else:
                require_last(self.platform, self._cluster_name, work, text, "ray down")
        except TeardownIncomplete as error:
            _fail(error)
        except RayDogError as error:
            _fail(self._not_removed(error))
        finally:
            if self.is_made("tag_store"):
                self.tag_store.close()
        progress.report(text)
        delete_token(token)

    def _not_removed(self, error: RayDogError) -> TeardownIncomplete:
        """The error of a teardown that could not find what it has to remove."""
        return TeardownIncomplete(
            f"{error}. The cluster was not removed: run `ray down` again. Otherwise use YellowDog's portal, "
            f"namespace {self.settings.current.cluster_namespace}: end work requirement '{self._cluster_name}' (or its "
            f"successor, '{self._cluster_name}-2' and so on) and the worker pools named after it"
        )

    def _youngest(self) -> WorkRequirementView | None:
        """The work requirement that is alive, or the last one in case its pools outlived it."""
        from yellowdog_ray.cluster.generations import find_last_work, require_ours

        work = find_last_work(self.platform, self._cluster_name, self._ending_id)
        if work is None and self._ending_id is not None:
            work = self.platform.work_requirement(self._ending_id)
        if work is not None:
            require_ours(self.platform, self._cluster_name, work)
        return work

    def command_runner(self, node_id: str, make: Callable[[], Any]) -> Any:
        """Ray's own way to run commands on a node, if the node can be reached at all.

        Raises:
            click.ClickException: it cannot.
        """
        if ends_the_cluster():
            return TeardownRunner(self._request_end)
        from yellowdog_ray.commands.exec_stop import ends_well
        from yellowdog_ray.remote.uploads import with_deadlines

        self.access.check(self.node(node_id))
        return ends_well(with_deadlines(make()))


def _fail(error: RayDogError) -> NoReturn:
    """End the command: Ray only warns of exceptions at this point, and would report success."""
    cli_logger.error("{}", str(error))
    raise SystemExit(1) from error
