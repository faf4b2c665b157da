"""The end of `ray down` and `raydog down`: whether the cluster that has ended was the last one of its name.

YellowDog may show an ended incarnation for a while after the cluster was created again.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

from yellowdog_ray.cluster.generations import find_last_work
from yellowdog_ray.errors import PlatformError, TeardownIncomplete
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import WorkRequirementView

RECENT = timedelta(minutes=10)
"""Age of a token of which YellowDog shows no cluster at all: a younger one may be that of a cluster not shown yet."""


def newer_work(platform: Platform, cluster: str, work: WorkRequirementView) -> WorkRequirementView | None:
    """A living work requirement of the cluster other than this one."""
    last = find_last_work(platform, cluster)
    return last if last is not None and last.id != work.id and not last.finished else None


def require_last(platform: Platform, cluster: str, work: WorkRequirementView, text: str, command: str) -> None:
    """Check, after the end of an incarnation, that no newer one is alive.

    Args:
        platform: the platform.
        cluster: the cluster's name.
        work: what has ended.
        text: the outcome so far, for the message.
        command: the command to run again.

    Raises:
        TeardownIncomplete: a newer one is alive, or it could not be searched for.
    """
    try:
        newer = newer_work(platform, cluster, work)
    except PlatformError as error:
        raise TeardownIncomplete(f"{text}. A newer one could not be searched for: {error}") from error
    if newer is not None:
        raise TeardownIncomplete(
            f"{text}. It was created again meanwhile (work requirement {newer.name}, {newer.id}), and that one was "
            f"left alone: run `{command}` again to end it"
        )


def require_no_newer_token(platform: Platform, file: Path, work: WorkRequirementView | None, text: str) -> None:
    """Check, where `ray down` has found no living cluster, that this machine has created none since.

    `ray up` writes the token when the head is reachable. A token that is younger than the end that YellowDog shows
    belongs to a cluster that it does not show.

    Args:
        platform: the platform.
        file: the cluster's token on this machine; it may be missing.
        work: the incarnation that had ended before; None if YellowDog shows none.
        text: the outcome so far, for the message.

    Raises:
        TeardownIncomplete: it has.
    """
    try:
        written = datetime.fromtimestamp(file.stat().st_mtime, timezone.utc)
    except OSError:
        return
    ended = work.status_changed if work is not None else None
    since = platform.clock.to_local(ended or platform.clock.now() - RECENT)
    if written > since:
        raise TeardownIncomplete(
            f"{text}. But `ray up` on this machine has reached a cluster of this name since: YellowDog may not show it "
            f"yet. Run `ray down` again in a minute. If that one has ended too, delete {file.parent}"
        )
