"""A cluster whose head runs on a stepped platform, and ways to make it grow."""

from collections.abc import Mapping

from yellowdog_client.model import WorkerPoolSearch

from yellowdog_local.testing import RunningPlatform
from yellowdog_ray.clock import Clock
from yellowdog_ray.cluster.cluster import Cluster, Identity
from yellowdog_ray.cluster.executors import BackgroundExecutor, BlockingExecutor
from yellowdog_ray.cluster.launch import Launcher, LaunchRequest
from yellowdog_ray.cluster.terminator import Terminator
from yellowdog_ray.commands.access import SshSettings
from yellowdog_ray.commands.head_wait import HeadWait
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.up import HeadCreation
from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.config.models import ProviderSettings
from yellowdog_ray.config.node_config import NodeConfig
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.remote.ssh import SshTarget

NODE_CONFIG = NodeConfig(compute_requirement_template="demo/local")
HEAD_TAGS = {"ray-node-type": "head", "ray-user-node-type": "head", "ray-node-status": "uninitialized"}
WORKER_TAGS = {"ray-node-type": "worker", "ray-user-node-type": "cpu", "ray-launch-request": "request-1"}
BOOT = 3.0


class LabCluster(Cluster):
    """A cluster, and beside it the parts that a side would give to its other objects.

    Attributes:
        platform: the platform client.
        settings: the settings in force.
        clock: time.
    """

    def __init__(
        self, identity: Identity, platform: Platform, settings: ProviderSettings, clock: Clock, *, on_head: bool = False
    ) -> None:
        self.platform = platform
        self.settings = LiveSettings(settings)
        self.clock = clock
        executor = BackgroundExecutor() if on_head else BlockingExecutor()
        terminator = Terminator(platform, executor, clock.monotonic, adopts=on_head)
        super().__init__(identity, platform, terminator, clock, lambda: self.settings.current.lifetime)


def make_head(cluster: LabCluster, tags: Mapping[str, str] = HEAD_TAGS, node_config: NodeConfig = NODE_CONFIG) -> None:
    """What `ray up` makes of a cluster, before it waits."""
    creation = HeadCreation(cluster.platform, cluster, cluster.settings.current, cluster.clock, Progress())
    creation.create(node_config, tags, v2=True)


def wait_until_reachable(cluster: LabCluster, ssh: SshSettings) -> SshTarget:
    """How `ray up` waits for a head."""
    wait = HeadWait(cluster.platform, cluster, cluster.settings.current, cluster.clock, Progress())
    return wait.until_reachable(ssh)


def head_up(cluster: LabCluster) -> str:
    """Make a head. Returns the work requirement's id."""
    make_head(cluster)
    work = cluster.find()
    assert work is not None
    return work.id


def grow(cluster: LabCluster, count: int = 2, node_type: str = "cpu") -> list[str]:
    """Workers of a type, requested as Ray would, by a process that remembers no earlier launch."""
    return make_launcher(cluster).launch(request(count, node_type))


def make_launcher(cluster: LabCluster) -> Launcher:
    """A launcher that remembers nothing."""
    return Launcher(cluster, cluster.platform, cluster.settings, cluster.clock)


def request(count: int = 1, node_type: str = "cpu", node_config: NodeConfig = NODE_CONFIG) -> LaunchRequest:
    """A launch request of Ray's."""
    tags = {**WORKER_TAGS, "ray-user-node-type": node_type}
    return LaunchRequest(node_type, node_config, tags, count, {"CPU": 1}, {"zone": "a"})


def phases(cluster: Cluster) -> dict[str, str]:
    """The phase of each listed node."""
    return {node.id: node.phase.value for node in cluster.snapshot.nodes.values()}


def pool_names(local: RunningPlatform) -> list[str]:
    """Every worker pool on the platform, ended ones too."""
    with local.client() as client:
        return [pool.name for pool in client.worker_pool_client.get_worker_pools(WorkerPoolSearch()).list_all()]
