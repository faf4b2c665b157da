"""What is RayDog's own under `ray down`: how it begins, and how it ends."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import click
from ray.autoscaler.tags import NODE_KIND_WORKER, TAG_RAY_NODE_KIND

from yellowdog_ray.commands.context import ends_the_cluster

_HOOK = "cleanup_cluster_resources"


def ray_asks() -> bool:
    """Whether this Ray's `ray down` ends with the provider's `cleanup_cluster_resources`."""
    from ray.autoscaler._private import commands

    code = commands.teardown_cluster.__code__
    return _HOOK in code.co_names or _HOOK in code.co_consts


class StopsRay:
    """Stands in for Ray's way to run `ray stop` on the head, the first thing that `ray down` does once it is agreed to.

    All tasks are asked to end instead, and their scripts stop Ray, on all nodes at once. `ray stop` by SSH would first
    stop the head alone: Ray waits seconds there for the workers to let go, and then on the workers, in vain, for the
    head. Nor would a cluster be ended whose head stops but whose autoscaler has just asked for another worker.

    Args:
        request_end: asks for the end of everything.
    """

    def __init__(self, request_end: Callable[[], None]) -> None:
        self._request_end = request_end

    def run(self, *_: Any, **__: Any) -> str:
        """Ask for the end, whatever the command."""
        self._request_end()
        return ""


class LastWord:
    """Has something done when the `ray down` that runs has ended well, if Ray does not ask for it (2.50 does not).

    Args:
        action: what is to be done.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._arranged = False

    def listing(self, tag_filters: Mapping[str, str]) -> None:
        """Ray lists nodes. `ray down` lists workers only once the user has agreed to it."""
        if self._arranged or dict(tag_filters) != {TAG_RAY_NODE_KIND: NODE_KIND_WORKER}:
            return
        if not ends_the_cluster() or ray_asks():
            return
        self._arranged = True
        click.get_current_context().call_on_close(self._say)

    def _say(self) -> None:
        if sys.exc_info()[0] is None:
            self._action()
