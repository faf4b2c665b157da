"""A cluster whose head runs on a stepped platform, and ways to grow it."""

from yellowdog_client.model import WorkerPoolSearch

from yellowdog_local.testing import RunningPlatform
from yellowdog_ray.cluster.cluster import Cluster
from yellowdog_ray.cluster.launch import Growth, LaunchRequest
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.up import create_head
from yellowdog_ray.config.models import NodeConfig

NODE_CONFIG = NodeConfig(compute_requirement_template="demo/local")
HEAD_TAGS = {"ray-node-type": "head", "ray-user-node-type": "head", "ray-node-status": "uninitialized"}
WORKER_TAGS = {"ray-node-type": "worker", "ray-user-node-type": "cpu", "ray-launch-request": "request-1"}
BOOT = 3.0


def head_up(cluster: Cluster) -> str:
    """What `ray up` makes of a cluster. Returns the work requirement's id."""
    create_head(cluster, NODE_CONFIG, HEAD_TAGS, Progress(), v2=True)
    work = cluster.find()
    assert work is not None
    return work.id


def grow(cluster: Cluster, count: int = 2, node_type: str = "cpu") -> list[str]:
    """Workers of a type, asked for as Ray would."""
    return Growth(cluster).grow(request(count, node_type))


def request(count: int = 1, node_type: str = "cpu", node_config: NodeConfig = NODE_CONFIG) -> LaunchRequest:
    """What Ray asks for."""
    tags = {**WORKER_TAGS, "ray-user-node-type": node_type}
    return LaunchRequest(node_type, node_config, tags, count, {"CPU": 1}, {"zone": "a"})


def phases(cluster: Cluster) -> dict[str, str]:
    """How far each listed node has come."""
    return {node.id: node.phase.value for node in cluster.snapshot.nodes.values()}


def pool_names(local: RunningPlatform) -> list[str]:
    """Every worker pool that the platform knows, ended ones too."""
    with local.client() as client:
        return [pool.name for pool in client.worker_pool_client.get_worker_pools(WorkerPoolSearch()).list_all()]
