"""Clusters that a search of work requirements lacks, found by the names of their pools. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from yellowdog_ray import names
from yellowdog_ray.cluster.ending import attempt
from yellowdog_ray.cluster.generations import find_last_work
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.inventory.account import is_of, token_of
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import WorkRequirementView

MAX_NAMES = 10
"""Names of clusters that are read at most: strangers may have any number of such pools."""

Place = tuple[str, str]
"""A namespace, and a name in it."""


@dataclass(frozen=True)
class FoundCluster:
    """A cluster of an account."""

    namespace: str
    name: str
    work: WorkRequirementView


@dataclass(frozen=True)
class Unlisted:
    """The clusters that the names of pools have shown.

    Attributes:
        clusters: the clusters of the pools, ended ones too.
        unread: the pools whose cluster could not be read: it may be alive.
        reasons: why.
    """

    clusters: tuple[FoundCluster, ...] = ()
    unread: frozenset[Place] = frozenset()
    reasons: tuple[str, ...] = ()


def find_unlisted(within: Callable[[str], Platform], pools: Iterable[Place]) -> Unlisted:
    """The clusters of these pools, by the names that a cluster with such a pool can have. No call without a pool.

    One call for each name of a living cluster. Any other takes two, and one of an ended cluster a few more.

    Args:
        within: gives the platform client for a namespace.
        pools: namespace and name of pools, or of their compute requirements, that no listed cluster owns.
    """
    incarnations = _by_incarnation(pools)
    names_of = {
        key: [(key[0], name) for name in names.clusters_of_pool(of_one[0])] for key, of_one in incarnations.items()
    }
    tried = list(dict.fromkeys(name for possible in names_of.values() for name in possible))[:MAX_NAMES]
    found = dict(zip(tried, run_concurrently(lambda place: _read(within, place), tried), strict=True))
    clusters, unread, reasons = [], set[Place](), []
    for (namespace, token), of_one in incarnations.items():
        possible = names_of[namespace, token]
        cluster = next((one for name in possible if (one := _cluster(name, found.get(name), token))), None)
        if cluster is not None:
            clusters.append(cluster)
        elif reason := _why_unread(possible, found):
            unread |= {(namespace, pool) for pool in of_one}
            reasons.append(f"the cluster of {', '.join(of_one)}: {reason}")
    return Unlisted(tuple(clusters), frozenset(unread), tuple(reasons))


def _by_incarnation(pools: Iterable[Place]) -> dict[Place, list[str]]:
    """The names of pools by namespace and token; the one that leaves the fewest names of a cluster comes first."""

    def order(place: Place) -> tuple[bool, int, Place]:
        possible = len(names.clusters_of_pool(place[1]))
        return possible == 0, possible, place

    found: dict[Place, list[str]] = {}
    for namespace, pool in sorted(pools, key=order):
        found.setdefault((namespace, names.token_of(pool)), []).append(pool)
    return found


def _read(within: Callable[[str], Platform], place: Place) -> WorkRequirementView | PlatformError | None:
    namespace, name = place
    return attempt(lambda platform: find_last_work(platform, name), within(namespace))


def _cluster(place: Place, work: WorkRequirementView | PlatformError | None, token: str) -> FoundCluster | None:
    """The cluster that was read, if it has this token."""
    namespace, name = place
    if not isinstance(work, WorkRequirementView) or not is_of(work, name) or token_of(work) != token:
        return None
    return FoundCluster(namespace, name, work)


def _why_unread(
    possible: Sequence[Place], found: Mapping[Place, WorkRequirementView | PlatformError | None]
) -> str | None:
    """Why it is unknown whether a cluster of one of these names is alive; None if none of them is."""
    if not possible:
        return "its long name is shortened in the pool's name"
    failures = [str(work) for name in possible if isinstance(work := found.get(name), PlatformError)]
    skipped = [f"only {MAX_NAMES} names are read" for name in possible if name not in found]
    return next(iter([*failures, *skipped]), None)
