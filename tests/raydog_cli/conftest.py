from tests.yellowdog_ray.conftest import cluster_yaml, in_a_users_folder, make_cluster, platform, ssh_key
from tests.yellowdog_ray.inventory.conftest import in_step, local, raydog, with_failed_worker, with_workers

__all__ = [
    "cluster_yaml",
    "in_a_users_folder",
    "in_step",
    "local",
    "make_cluster",
    "platform",
    "raydog",
    "ssh_key",
    "with_failed_worker",
    "with_workers",
]
