"""`raydog down`: end a cluster as `ray down` does, without its YAML."""

from __future__ import annotations

from yellowdog_ray.commands.after_teardown import newer_work, require_last
from yellowdog_ray.commands.cluster_token import delete_token, token_file
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.teardown import outcome, tear_down
from yellowdog_ray.errors import PlatformError, TeardownIncomplete
from yellowdog_ray.inventory.target import Found


def require_newest(found: Found) -> None:
    """Check that the cluster was not created again since it was found, such as while a question waited.

    Raises:
        TeardownIncomplete: it was.
        PlatformError: a call failed.
    """
    if newer := newer_work(found.platform, found.name, found.work):
        raise TeardownIncomplete(
            f"cluster '{found.name}' was created again meanwhile (work requirement {newer.name}, {newer.id}): nothing "
            "was ended. Run `raydog down` again"
        )


def end(found: Found, progress: Progress) -> str:
    """End a cluster, and wait until YellowDog shows nothing alive of it.

    The cluster's token on this machine goes only if this incarnation was alive, and no newer one is. An incarnation
    that had ended before may be an old answer, so its end is no success.

    Returns:
        The last line of the teardown.

    Raises:
        TeardownIncomplete: something of it is alive, or could not be read, or the cluster was created again, or had
            ended before.
    """
    platform = found.platform
    try:
        not_shown = tear_down(platform, found.work, progress, platform.clock, "raydog down")
    except PlatformError as error:
        raise TeardownIncomplete(f"{error}. The cluster was not removed: run `raydog down` again") from error
    text = outcome(found.name, platform.namespace, found=True, unseen=not_shown)
    require_last(platform, found.name, found.work, text, "raydog down")
    if found.work.finished:
        raise TeardownIncomplete(
            f"{text}. It had ended before: if it was created again just now, run `raydog down` again in a minute"
        )
    delete_token(token_file(platform.namespace, found.name))
    return text
