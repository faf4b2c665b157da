"""The last word under `ray down`, for versions of Ray that do not ask their provider for one (2.50 is one)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

import click
from ray.autoscaler._private import commands
from ray.autoscaler.tags import NODE_KIND_WORKER, TAG_RAY_NODE_KIND

_HOOK = "cleanup_cluster_resources"
_COMMANDS = ("down", "teardown")


def ray_asks() -> bool:
    """Whether this Ray's `ray down` ends with the provider's `cleanup_cluster_resources`."""
    code = commands.teardown_cluster.__code__
    return _HOOK in code.co_names or _HOOK in code.co_consts


class LastWord:
    """Has something done when the `ray down` that runs has ended well, if Ray does not do it.

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
        context = click.get_current_context(silent=True)
        if context is None or context.info_name not in _COMMANDS or context.params.get("workers_only") or ray_asks():
            return
        self._arranged = True
        context.call_on_close(self._say)

    def _say(self) -> None:
        if sys.exc_info()[0] is None:
            self._action()
