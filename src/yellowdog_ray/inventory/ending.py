"""`raydog down`: end a cluster as `ray down` does, without its YAML."""

from __future__ import annotations

from yellowdog_ray.cluster.generations import find_last_work
from yellowdog_ray.commands.cluster_token import delete_token, token_file
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.teardown import outcome, tear_down
from yellowdog_ray.errors import PlatformError, TeardownIncomplete
from yellowdog_ray.inventory.target import Found
from yellowdog_ray.platform.types import WorkRequirementView


def require_newest(found: Found) -> None:
    """Check that the cluster was not created again since it was found, such as while a question waited.

    Raises:
        TeardownIncomplete: it was.
        PlatformError: a call failed.
    """
    if newer := _newer(found):
        raise TeardownIncomplete(
            f"cluster '{found.name}' was created again meanwhile (work requirement {newer.name}, {newer.id}): nothing "
            "was ended. Run `raydog down` again"
        )


def end(found: Found, progress: Progress) -> str:
    """End a cluster, and wait until YellowDog shows nothing alive of it.

    The cluster's token on this machine goes only if this incarnation was alive, and no newer one is.

    Returns:
        What has become of it.

    Raises:
        TeardownIncomplete: something of it is alive, or could not be read, or the cluster was created again.
    """
    platform = found.platform
    try:
        not_shown = tear_down(platform, found.work, progress, platform.clock, "raydog down")
    except PlatformError as error:
        raise TeardownIncomplete(f"{error}. The cluster was not removed: run `raydog down` again") from error
    text = outcome(found.name, platform.namespace, found=True, unseen=not_shown)
    try:
        newer = _newer(found)
    except PlatformError as error:
        raise TeardownIncomplete(f"{text}. A newer one could not be searched for: {error}") from error
    if newer is not None:
        raise TeardownIncomplete(
            f"{text}. It was created again meanwhile (work requirement {newer.name}, {newer.id}), and that one was "
            "left alone: run `raydog down` again to end it"
        )
    if found.work.finished:
        return f"{text}. It had ended before: if it was created again just now, run `raydog down` again in a minute"
    delete_token(token_file(platform.namespace, found.name))
    return text


def _newer(found: Found) -> WorkRequirementView | None:
    """A living work requirement of the cluster other than the found one."""
    last = find_last_work(found.platform, found.name)
    return last if last is not None and last.id != found.work.id and not last.finished else None
