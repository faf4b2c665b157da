"""A head that has replaced another, or that was replaced. Runs on the head only.

A platform may count a machine as lost that still runs. Its autoscaler then reads that its own task has ended, or
another head. From there on it launches and terminates nothing: the cluster is the other head's.
"""

from __future__ import annotations

import logging

from ray.autoscaler.tags import STATUS_UP_TO_DATE, TAG_RAY_NODE_STATUS

from yellowdog_ray import names
from yellowdog_ray.cluster.launch import Launcher
from yellowdog_ray.cluster.snapshot import Phase, Snapshot
from yellowdog_ray.remote.tags import TagStore

logger = logging.getLogger(__name__)

_WHY = "this head's task has ended, or another head has replaced it: this autoscaler launches and terminates nothing"


class ReplacedHead:
    """The place of this head among the heads of its cluster.

    Args:
        head_id: this head's node id.
        launcher: launches workers.
        tag_store: the tags.
        is_replacement: whether a carrier has started this head.

    Attributes:
        head_id: as given.
        is_fenced: whether another head has taken this one's place; for good.
    """

    def __init__(self, head_id: str, launcher: Launcher, tag_store: TagStore, *, is_replacement: bool) -> None:
        self.head_id = head_id
        self._launcher = launcher
        self._tag_store = tag_store
        self._lacks_status = is_replacement
        self._was_seen = False
        self.is_fenced = False

    def observe(self, snapshot: Snapshot) -> bool:
        """Read a complete listing. Returns whether this head may go on."""
        own = snapshot.nodes.get(self.head_id)
        if self.is_fenced or is_followed(self.head_id, snapshot) or (own is None and self._was_seen):
            self._fence()
        self._was_seen = self._was_seen or own is not None
        if own is not None and own.phase is Phase.RUNNING and self._lacks_status:
            # `ray up` would have set it, and Ray's commands read it.
            self._lacks_status = not self._tag_store.set(self.head_id, {TAG_RAY_NODE_STATUS: STATUS_UP_TO_DATE})
        return not self.is_fenced

    def _fence(self) -> None:
        if not self.is_fenced:
            logger.error("%s", _WHY)
        self.is_fenced = True
        self._launcher.close(_WHY)  # without effect while a launch is under way: at the next listing again


def is_followed(head_id: str, snapshot: Snapshot) -> bool:
    """Whether a listing shows a later head of the same incarnation. It may still show an earlier one."""
    token = names.token_of_head(head_id)
    own = names.restart_number(token, head_id) or 0
    return any((names.restart_number(token, node_id) or 0) > own for node_id in snapshot.nodes)
