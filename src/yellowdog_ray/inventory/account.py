"""The account that the API key can read: its application, its namespaces, and which work requirements are clusters."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from yellowdog_ray import names
from yellowdog_ray.clock import SystemClock
from yellowdog_ray.credentials import load_credentials
from yellowdog_ray.errors import NotAuthorised, Refused
from yellowdog_ray.lazy import HasLazyParts, lazy
from yellowdog_ray.names import HEAD_GROUP, STATE_GROUP
from yellowdog_ray.platform.account_types import Application
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.retry import RetryPolicy
from yellowdog_ray.platform.types import WorkRequirementView

RETRY_SECONDS = 10.0
"""How long a call that only reads is retried."""

PATIENT_RETRY_SECONDS = 30.0
"""How long a call is retried while something is removed, as under `ray down`."""


class Account(HasLazyParts):
    """The part of an account that one API key can read. The constructor makes no call.

    Args:
        retry_seconds: how long failing calls are retried.

    Raises:
        CredentialsError: there is no usable key.
    """

    def __init__(self, retry_seconds: float = RETRY_SECONDS) -> None:
        super().__init__()
        self.platform = Platform(load_credentials(), "", RetryPolicy(retry_seconds), SystemClock())

    @lazy
    def application(self) -> Application:
        """The key's application: one call. Without the permission to read it, one without a name."""
        try:
            return self.platform.application()
        except (NotAuthorised, Refused):
            return Application("", "", None)

    def namespaces(self, namespace: str | None) -> Sequence[str] | None:
        """The namespaces of a search: the requested one, or else all that the key can read (None for any)."""
        return self.application.namespaces if namespace is None else [namespace]

    def lacks(self, namespace: str) -> bool:
        """Whether the key certainly cannot read such a namespace: two calls at most. False if it may not read that."""
        readable = self.application.namespaces
        if readable is not None:
            return namespace not in readable
        try:
            return not self.platform.has_namespace(namespace)
        except (NotAuthorised, Refused):
            return False

    def within(self, namespace: str) -> Platform:
        """The same platform client for one namespace."""
        platform = copy.copy(self.platform)
        platform.namespace = namespace
        return platform


def cluster_of(work: WorkRequirementView) -> str | None:
    """The cluster that a work requirement belongs to; None if it is not RayDog's. No call.

    RayDog's has the head's task group first. The tag of that group is the name of a pool of this very cluster.
    """
    tag = _head_tag(work)
    return names.cluster_of(work.name, tag) if tag else None


def published_by(work: WorkRequirementView) -> str | None:
    """The cluster whose head has published its state in a work requirement; None if it holds no state. No call.

    A record has one task group and never a task: one with tasks is somebody else's, whatever its name is.
    Of a cluster with a very long name, the result is the shortened name in its tags.
    """
    if len(work.groups) != 1 or work.groups[0].name != STATE_GROUP:
        return None
    counts = work.groups[0].counts
    if counts is not None and any(counts.at.values()):
        return None
    return names.publisher_of(work.name, work.groups[0].worker_tag)


def is_of(work: WorkRequirementView, cluster: str) -> bool:
    """Whether a work requirement is one of the cluster's. No call.

    It decides by the head's tag: the work requirement of a long name's later generation has a shortened name.
    """
    tag = _head_tag(work)
    return tag is not None and names.is_head_pool(cluster, tag)


def _head_tag(work: WorkRequirementView) -> str | None:
    head = work.groups[0] if work.groups else None
    return head.worker_tag if head is not None and head.name == HEAD_GROUP else None


def token_of(work: WorkRequirementView) -> str:
    """The incarnation's token, with which all its names end."""
    return names.token_of(work.groups[0].worker_tag)
