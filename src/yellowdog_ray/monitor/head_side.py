"""The provider in the autoscaler on the head: polls the platform, survives outages, supervises workers.

No method waits: Ray's loop must not be blocked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from ray.autoscaler.tags import STATUS_UP_TO_DATE, STATUS_UPDATE_FAILED, TAG_RAY_NODE_STATUS

from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.journal import Journal, Note
from yellowdog_ray.cluster.snapshot import Phase, Snapshot
from yellowdog_ray.config.characters import joined
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.errors import RayDogError
from yellowdog_ray.lazy import lazy
from yellowdog_ray.monitor.gcs import RayNodes
from yellowdog_ray.monitor.new_key import NewKey
from yellowdog_ray.monitor.outage import UnexpectedErrors
from yellowdog_ray.monitor.own_version import report_own_version
from yellowdog_ray.monitor.polling import PollingSchedule
from yellowdog_ray.monitor.reload import HeadFile
from yellowdog_ray.monitor.repeated_lines import drop_repeated_lines
from yellowdog_ray.monitor.scale_gate import ScaleGate
from yellowdog_ray.monitor.supervisor import Supervisor
from yellowdog_ray.monitor.updater_steps import Setups
from yellowdog_ray.node.authentication import MODE_TOKEN
from yellowdog_ray.node.variables import AUTH_MODE, FIRST_HEAD, HEAD_RESTART
from yellowdog_ray.platform.retry import RetryPolicy
from yellowdog_ray.remote.tags import TagStore
from yellowdog_ray.remote.uploads import with_deadlines
from yellowdog_ray.side import Side

if TYPE_CHECKING:
    from yellowdog_ray.cluster.cluster import Cluster
    from yellowdog_ray.monitor.admission import Admission
    from yellowdog_ray.monitor.idle_end import IdleEnd
    from yellowdog_ray.monitor.idleness import Idleness
    from yellowdog_ray.monitor.launch_records import LaunchRecords
    from yellowdog_ray.monitor.listing import Listing
    from yellowdog_ray.monitor.liveness import Builds
    from yellowdog_ray.monitor.publisher import Publisher
    from yellowdog_ray.monitor.replaced_head import ReplacedHead
    from yellowdog_ray.monitor.requested_resources import RequestedResources

logger = logging.getLogger(__name__)


class HeadSide(Side):
    """The duties of the head.

    Args:
        provider_config: the YAML's `provider` section.
        cluster_name: the YAML's `cluster_name`.
        source: the YAML's name, for messages.
        clock: time.
        requirement_id: the work requirement that the head belongs to, if its environment names it.
        v2: whether Ray's new autoscaler decides.
        auth_mode: the mode of Ray's authentication on this head, if its environment states it.
        restart: the value of `variables.HEAD_RESTART` in the head's environment.

    Attributes:
        ray_nodes: the nodes in Ray's control store.
        journal: the decisions that are to be published.
    """

    def __init__(
        self,
        provider_config: dict[str, Any],
        cluster_name: str,
        source: str,
        clock: Clock,
        *,
        requirement_id: str | None,
        v2: bool,
        auth_mode: str | None = None,
        restart: str | None = None,
    ) -> None:
        super().__init__(joined(provider_config), cluster_name, source, clock)
        self.requirement_id = requirement_id
        self._auth_mode = auth_mode
        self._restart = restart
        self._v2 = v2
        self.journal = Journal(lambda: self.platform.clock.now())
        self.ray_nodes = RayNodes(to_local=lambda moment: self.platform.clock.to_local(moment), note=self._note)
        self._shows_joined = not v2 and bool(provider_config.get("disable_node_updaters"))
        self._gate = ScaleGate(lambda: self.ray_nodes.counts_placed_groups())
        drop_repeated_lines(clock.monotonic, self._waits)
        self._unexpected = UnexpectedErrors()
        report_own_version()

    def _waits(self, node_type: str) -> bool:
        """Whether a node type is in back-off. Called for log lines: makes nothing."""
        return self.is_made("launcher") and self.launcher.backoff.waits(node_type)

    @lazy
    def builds(self) -> Builds:
        """The workers between launch and joining."""
        from yellowdog_ray.monitor.early_ends import EarlyEnds
        from yellowdog_ray.monitor.liveness import Builds

        return Builds(
            self.platform,
            self.cluster,
            self.launcher,
            self.settings,
            self.ray_nodes,
            self.setups,
            EarlyEnds(self.cluster, self.launcher.backoff, self.ray_nodes, self._clock.monotonic, self._note),
            self._clock,
            ids_needed=self._v2,
        )

    @lazy
    def supervisor(self) -> Supervisor:
        """The duties of every tick besides listing."""
        from yellowdog_ray.monitor.duties import make_supervisor

        admits, replaces = self._auth_mode == MODE_TOKEN, self._restart not in (None, FIRST_HEAD)
        return make_supervisor(self, self._clock, v2=self._v2, admits=admits, replaces=replaces)

    @lazy
    def place(self) -> ReplacedHead:
        """The place of this head among the heads of its cluster."""
        from yellowdog_ray.monitor.duties import make_place

        return make_place(self, is_replacement=self._restart != FIRST_HEAD)

    @lazy
    def idleness(self) -> Idleness:
        """For how long the cluster has been idle."""
        from yellowdog_ray.monitor.duties import make_idleness

        return make_idleness(self, self._clock)

    @lazy
    def idle_end(self) -> IdleEnd:
        """Ends the cluster when it is idle."""
        from yellowdog_ray.monitor.duties import make_idle_end

        return make_idle_end(self)

    @lazy
    def listing(self) -> Listing:
        """Reads the nodes."""
        from yellowdog_ray.monitor.listing import Listing

        # With head_restart another head may have replaced this one, whose cluster is idle in its own eyes only.
        return Listing(self.cluster, self.launcher.backoff, self.idle_end if self._restart is None else None)

    @property
    def _note(self) -> Note:
        return self.journal.note

    @lazy
    def publisher(self) -> Publisher:
        """Publishes the head's state on the platform."""
        from yellowdog_ray.monitor.publishing import make_publisher

        return make_publisher(self, v2=self._v2)

    @lazy
    def admission(self) -> Admission:
        """The admission of workers to a cluster with Ray's token authentication."""
        from yellowdog_ray.monitor.admission import make_admission
        from yellowdog_ray.monitor.duties import make_kit_maker

        make_kit = make_kit_maker(self, self._clock).current if self._restart is not None else None
        return make_admission(self.cluster, self.platform, self.settings, self._clock.monotonic, make_kit)

    def _admit(self, node_id: str) -> Mapping[str, str]:
        if self._auth_mode == MODE_TOKEN:
            minutes = self.settings.current.worker_node_build_timeout_minutes
            admission = self.admission.environment(node_id, timedelta(minutes=minutes))
            return admission if self._restart is None else {**admission, **self._carrying()}
        return {AUTH_MODE: self._auth_mode} if self._auth_mode else {}

    def _carrying(self) -> Mapping[str, str]:
        """The variable by which a worker may replace this head."""
        from yellowdog_ray.node.kit import carrier_seconds

        build_timeout = timedelta(minutes=self.settings.current.head_node_build_timeout_minutes)
        return {HEAD_RESTART: f"{carrier_seconds(build_timeout):.0f}"}

    @lazy
    def setups(self) -> Setups:
        """The set-ups of workers by Ray's updaters."""
        return Setups(self._clock.monotonic)

    @lazy
    def records(self) -> LaunchRecords:
        """The failed launches that autoscaler v2 keeps."""
        from yellowdog_ray.monitor.launch_records import LaunchRecords

        return LaunchRecords(self.ray_nodes, self._clock.monotonic)

    @lazy
    def requested_resources(self) -> RequestedResources:
        """The resources that users have requested of autoscaler v2."""
        from yellowdog_ray.monitor.requested_resources import RequestedResources

        return RequestedResources(self.ray_nodes, self._clock.monotonic)

    @lazy
    def schedule(self) -> PollingSchedule:
        """When the platform is polled."""
        return PollingSchedule(self._clock.monotonic)

    @lazy
    def head_file(self) -> HeadFile:
        """The configuration that another `ray up` sends."""
        return HeadFile(self._cluster_name)

    @lazy
    def new_key(self) -> NewKey:
        """The API key that another `ray up` sends."""
        return NewKey(self.platform)

    def _retry_policy(self) -> RetryPolicy:
        return RetryPolicy()

    def _make_cluster(self) -> Cluster:
        from yellowdog_ray.cluster.cluster import Identity
        from yellowdog_ray.cluster.executors import BackgroundExecutor

        fixed = Identity(self._cluster_name, self.requirement_id, fixed=True)
        return self._cluster_of(fixed, BackgroundExecutor(), adopts=True)

    def _make_tag_store(self) -> TagStore:
        port = self.settings.current.head_node_tag_server_port
        return TagStore(self._cluster_name, lambda: port, restores=True)

    def translate(self, error: RayDogError) -> Exception | None:
        """Ray's autoscaler logs errors with their traceback."""
        return None

    # Listing

    def list_nodes(self, tag_filters: Mapping[str, str]) -> list[str]:
        """Ids of the nodes whose tags include all of these; autoscaler v2 lists once per tick, before it decides.

        Raises:
            RayDogError: the platform could not be read, and no earlier listing stands in. Or Ray's control store has
                restarted, so that Ray must not decide on this tick.
        """
        if self._v2:
            self.requested_resources.tick()
        listed = super().list_nodes(tag_filters)
        if self._v2:
            self.records.tick()
        return listed

    def launch_failed(self) -> None:
        """Note that Ray has a failed launch."""
        self.records.launch_failed()

    def _read(self) -> Snapshot:
        launched, snapshot = self.cluster.snapshot, self._read_if_due()
        return self.listing.with_unlisted(launched, snapshot, self._listed)

    def _read_if_due(self) -> Snapshot:
        self._read_settings()
        self.new_key.read()
        self.watch_use()
        if not self.schedule.is_listing_due(stable=self._stable):
            if self.schedule.are_spot_notices_due():
                self._supervise(self.cluster.snapshot)
            return self.cluster.snapshot
        before = self.cluster.snapshot
        is_read = self.listing.read()
        self.watch_use()
        if not is_read:
            return self.cluster.snapshot
        snapshot = self.cluster.snapshot
        self._read_tags(snapshot)
        self._supervise(snapshot)
        self.schedule.listing_done(changed=snapshot is not before or not self._stable)
        return self.cluster.snapshot

    def _read_settings(self) -> None:
        settings = self.head_file.changed_settings()
        if settings is None:
            return
        self.settings.replace(settings)
        self.idleness.begin_anew()
        if self.head_file.is_other_recipe:
            self.launcher.backoff.reconfigured()

    def watch_use(self) -> None:
        """Read whether the cluster is in use; also while YellowDog cannot be read, and between calls that take long."""
        try:
            self.idleness.tick()
        except Exception as error:  # noqa: BLE001 - a mistake here must not stop the loop, and counts as use
            self.idleness.begin_anew()
            self._unexpected.report(error)

    @property
    def _stable(self) -> bool:
        """Whether no node changes phase."""
        return self.cluster.stable and self.builds.stable

    def _supervise(self, snapshot: Snapshot) -> None:
        if self._restart is None or self.place.observe(snapshot):
            self.supervisor.tick(snapshot)
        self.schedule.duties_done()

    def _read_tags(self, snapshot: Snapshot) -> None:
        head = snapshot.head
        if head is None or head.phase is not Phase.RUNNING or head.private_ip is None:
            return
        self.tag_store.refresh()
        self.tag_store.keep(snapshot.nodes.keys() | self._listed.keys())

    def safe_to_scale(self) -> bool:
        """Whether Ray may decide on this tick: v1 not while it counts placement groups as waiting that are placed."""
        return self._v2 or self._gate.is_open()

    def node_tags(self, node_id: str) -> dict[str, str]:
        """A node's tags: those it was created with, and what has changed since. Empty for an unknown node."""
        tags = super().node_tags(node_id)
        # Autoscaler v1 kills a node that is `up-to-date` before Ray has its raylet and thus its address. Where it has
        # updaters, they set the status; elsewhere a worker's status in the tag store is somebody else's.
        node = self.node(node_id) if self._shows_joined else None
        if node is None:
            return tags
        if self.ray_nodes.joined(node_id, node.private_ip):
            tags[TAG_RAY_NODE_STATUS] = STATUS_UP_TO_DATE
        elif not node.is_head and TAG_RAY_NODE_STATUS in node.tags:
            tags[TAG_RAY_NODE_STATUS] = node.tags[TAG_RAY_NODE_STATUS]
        return tags

    def internal_ip(self, node_id: str) -> str | None:
        """The address that Ray nodes use among themselves; None while unknown.

        After a node has joined, it is the address that Ray uses for it. On a host with several addresses, Ray's may
        differ from the platform's, and autoscaler v1 identifies nodes by address alone.
        """
        node = self.node(node_id)
        return (self.ray_nodes.address(node_id) or node.private_ip) if node else None

    # Terminating

    def terminate_node(self, node_id: str) -> None:
        """Terminate one node."""
        self.terminate_nodes([node_id])

    def terminate_nodes(self, node_ids: list[str]) -> None:
        """Terminate workers. The head is left alone: `ray down` and an idle cluster's end terminate it, not Ray."""
        if self._restart is not None and self.place.is_fenced:
            return
        self._judge_setups(node_ids)
        head = self.cluster.snapshot.head
        if head is not None and head.id in node_ids:
            logger.error("Ray's autoscaler requested termination of the head (%s): the head continues", head.id)
            node_ids = [node_id for node_id in node_ids if node_id != head.id]
        from yellowdog_ray.monitor.publishing import note_terminations

        note_terminations(self._note, self.cluster, node_ids)
        self.cluster.terminate(node_ids)

    def _judge_setups(self, node_ids: list[str]) -> None:
        """Find the nodes that Ray terminates because its updater has failed on them; the others are not needed."""
        known = self.cluster.snapshot.nodes
        failed = [
            known[node_id]
            for node_id in node_ids
            if node_id in known and self.node_tags(node_id).get(TAG_RAY_NODE_STATUS) == STATUS_UPDATE_FAILED
        ]
        self.builds.set_up_failed(failed)

    # Duties of the user's machine

    def create_head(self, node_config: NodeConfig, tags: Mapping[str, str]) -> None:
        """Refuse: a head is created by `ray up`."""
        raise self._not_here("ray up")

    def prepare_head(self, cluster_config: dict[str, Any]) -> dict[str, Any]:
        """Refuse: a head is set up by `ray up`."""
        raise self._not_here("ray up")

    def tear_down(self) -> None:
        """Refuse: a cluster is torn down by `ray down`."""
        raise self._not_here("ray down")

    def _not_here(self, command: str) -> RayDogError:
        return RayDogError(f"cluster '{self._cluster_name}': use `{command}` on your own machine, not on the head")

    def command_runner(self, node_id: str, make: Callable[[], Any]) -> Any:
        """Ray's own way to run commands on a node, watched so that a failed step can be reported."""
        return self.setups.watch(with_deadlines(make()), node_id)
