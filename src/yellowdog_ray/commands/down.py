"""RayDog's part of `ray down`: the request at its beginning, and the action at its end.

The wait itself is in `teardown.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import click
from ray.autoscaler.tags import NODE_KIND_WORKER, TAG_RAY_NODE_KIND

from yellowdog_ray.commands.context import ends_the_cluster

_HOOK = "cleanup_cluster_resources"


def ray_calls_cleanup() -> bool:
    """Whether this Ray's `ray down` ends with the provider's `cleanup_cluster_resources`. Ray 2.50's does not."""
    from ray.autoscaler._private import commands

    code = commands.teardown_cluster.__code__
    return _HOOK in code.co_names or _HOOK in code.co_consts


class TeardownRunner:
    """Replaces the command runner of `ray down`.

    Ray would run `ray stop` by SSH on the head first, and lose time. The runner requests the end of all tasks instead;
    each task stops its own Ray. A worker that the autoscaler launched just before ends too.

    Args:
        request_end: requests the end of the whole cluster.
    """

    def __init__(self, request_end: Callable[[], None]) -> None:
        self._request_end = request_end

    def run(self, *_: Any, **__: Any) -> str:
        """Request the end of the cluster, whatever the command."""
        self._request_end()
        return ""


class AfterRayDown:
    """Runs an action after a successful `ray down`, where Ray itself does not call the provider at the end.

    Args:
        action: the action.
    """

    def __init__(self, action: Callable[[], None]) -> None:
        self._action = action
        self._registered = False

    def observe_listing(self, tag_filters: Mapping[str, str]) -> None:
        """Take note of a listing. `ray down` lists workers once the user has confirmed it."""
        if self._registered or dict(tag_filters) != {TAG_RAY_NODE_KIND: NODE_KIND_WORKER}:
            return
        if not ends_the_cluster() or ray_calls_cleanup():
            return
        self._registered = True
        click.get_current_context().call_on_close(self._run)

    def _run(self) -> None:
        if sys.exc_info()[0] is None:
            self._action()
