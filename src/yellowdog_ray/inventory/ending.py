"""`raydog down`: end a cluster as `ray down` does, without its YAML."""

from __future__ import annotations

from yellowdog_ray.commands.cluster_token import delete_token, token_file
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.teardown import outcome, tear_down
from yellowdog_ray.errors import PlatformError, TeardownIncomplete
from yellowdog_ray.inventory.target import Found


def end(found: Found, progress: Progress) -> str:
    """End a cluster, and wait until YellowDog shows nothing alive of it.

    Returns:
        What has become of it.

    Raises:
        TeardownIncomplete: something of it is alive, or could not be read.
    """
    platform = found.platform
    try:
        not_shown = tear_down(platform, found.work, progress, platform.clock, "raydog down")
    except PlatformError as error:
        raise TeardownIncomplete(f"{error}. The cluster was not removed: run `raydog down` again") from error
    delete_token(token_file(platform.namespace, found.name))
    return outcome(found.name, platform.namespace, found=True, unseen=not_shown)
