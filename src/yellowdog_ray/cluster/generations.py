"""The work requirement of a cluster: found by the cluster's name, and made under it or under a numbered name.

A platform may refuse the names of ended work requirements. Then the next *generation* of the cluster takes over: its
work requirement is named `<cluster>-2`, `<cluster>-3` and so on. Every process computes the same next number, so two
`ray up` at once still compete for one name. A numbered name may also be another cluster's own name: the worker tag of
the head's task group decides whose work requirement it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from yellowdog_ray import names
from yellowdog_ray.errors import ClusterNameTaken, Unavailable
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.idempotent import MAY_EXIST
from yellowdog_ray.platform.types import (
    TaskGroupSpec,
    TaskGroupView,
    WorkRequirementEntry,
    WorkRequirementView,
    oldest_first,
)


def find_work(platform: Platform, cluster: str) -> WorkRequirementView | None:
    """The cluster's unfinished work requirement: one call if it has the cluster's name, otherwise two or more.

    One of the cluster's own name may belong to something else than a RayDog cluster: callers check that.
    """
    return _find(platform, cluster, finished=False)[0]


def find_last_work(platform: Platform, cluster: str, newest_id: str | None = None) -> WorkRequirementView | None:
    """The cluster's unfinished work requirement, or else the youngest of those that have ended.

    Its calls are those of `find_work`. If all have ended, one more requests the next generation by its name, which a
    search may not show yet.

    Args:
        platform: the platform.
        cluster: the cluster's name.
        newest_id: a work requirement that this process has seen alive, so that it had no successor.
    """
    last, listed = _find(platform, cluster, finished=True)
    if last is None or not last.finished or last.id == newest_id or _reuses_names(cluster, listed):
        return last
    unlisted = _read_unlisted(platform, cluster, _numbers(cluster, listed))
    return max([last, *unlisted], key=lambda work: (not work.finished, oldest_first(work.created)))


def create_work(platform: Platform, cluster: str, tag: str | None, group: TaskGroupSpec) -> WorkRequirementView:
    """Make the cluster's work requirement, or find the one that an earlier attempt, or another process, has made.

    Args:
        platform: the platform.
        cluster: the cluster's name.
        tag: the user's tag on the work requirement.
        group: the head's task group.

    Raises:
        PlatformError: the call failed, and no work requirement of the cluster is alive.
    """
    taken: set[int] = set()
    while True:
        generation = _first_free(taken)
        name = names.work_name(cluster, generation)
        try:
            return platform.create_work_requirement(name, tag, group)
        except MAY_EXIST as error:
            if (created := _created(platform, cluster, generation)) is not None:
                return created
            # The probable cause is a work requirement of that name, whatever the refusal's words are.
            if isinstance(error, Unavailable) or platform.named_work_requirement(name) is None:
                raise
        taken |= {generation, *_numbers(cluster, platform.work_requirements(names.common_part(cluster), finished=True))}


def require_ours(platform: Platform, cluster: str, work: WorkRequirementView) -> TaskGroupView:
    """The head's task group of a cluster's work requirement. No call.

    Raises:
        ClusterNameTaken: the work requirement is not a RayDog cluster.
    """
    group = work.groups[0] if work.groups else None
    if group is None or not names.is_head_pool(cluster, group.worker_tag):
        raise ClusterNameTaken(
            f"namespace {platform.namespace} has a work requirement '{work.name}' that is not a RayDog cluster: choose "
            "another cluster_name, or end that work requirement"
        )
    return group


def _find(
    platform: Platform, cluster: str, *, finished: bool
) -> tuple[WorkRequirementView | None, list[WorkRequirementEntry]]:
    """The cluster's first work requirement in the order of `_read_ours`, and the list if one was read."""
    # By its name first: a search may not show it yet.
    named = platform.named_work_requirement(cluster)
    if named is not None and not named.finished and _may_be_ours(cluster, named):
        return named, []
    listed = platform.work_requirements(names.common_part(cluster), finished=finished)
    ours = _read_ours(platform, cluster, named, listed)
    return next((work for work in ours if finished or not work.finished), None), listed


def _created(platform: Platform, cluster: str, generation: int) -> WorkRequirementView | None:
    """The unfinished work requirement that has this generation's name, if it is not another cluster's."""
    if generation == 1:
        return find_work(platform, cluster)
    work = platform.named_work_requirement(names.work_name(cluster, generation))
    return work if work is not None and not work.finished and _may_be_ours(cluster, work) else None


def _may_be_ours(cluster: str, work: WorkRequirementView) -> bool:
    """Whether a work requirement is the cluster's; under the cluster's own name also one that is no RayDog cluster."""
    tag = work.groups[0].worker_tag if work.groups else ""
    if names.is_head_pool(cluster, tag):
        return True
    return work.name == cluster and not names.is_later_generation(cluster, tag)


def _read_ours(
    platform: Platform, cluster: str, named: WorkRequirementView | None, listed: Iterable[WorkRequirementEntry]
) -> Iterator[WorkRequirementView]:
    """The cluster's listed work requirements and the named one, read one by one: unfinished ones first, then by age."""
    entries = [entry for entry in listed if names.generation_of(cluster, entry.name)]
    if named is None and all(entry.name != cluster for entry in entries):
        return  # nothing has ever blocked the cluster's own name
    known = {named.id: named} if named else {}
    entries += [WorkRequirementEntry(id_, work.name, work.finished, work.created) for id_, work in known.items()]
    for entry in sorted(entries, key=lambda entry: (not entry.finished, oldest_first(entry.created)), reverse=True):
        work = known.get(entry.id) or platform.work_requirement(entry.id)
        if _may_be_ours(cluster, work):
            yield work


def _read_unlisted(platform: Platform, cluster: str, listed: set[int]) -> Iterator[WorkRequirementView]:
    """The cluster's next generations, as long as work requirements have their names: one call for each, and one."""
    for generation in count(2):
        if generation in listed:
            continue
        work = platform.named_work_requirement(names.work_name(cluster, generation))
        if work is None:
            return
        if _may_be_ours(cluster, work):
            yield work


def _reuses_names(cluster: str, listed: Iterable[WorkRequirementEntry]) -> bool:
    """Whether the platform has evidently accepted one name twice: then there are no later generations."""
    return sum(entry.name == cluster for entry in listed) > 1


def _numbers(cluster: str, listed: Iterable[WorkRequirementEntry]) -> set[int]:
    return {number for entry in listed if (number := names.generation_of(cluster, entry.name))}


def _first_free(taken: set[int]) -> int:
    return next(number for number in count(1) if number not in taken)
