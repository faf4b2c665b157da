"""Provision strategies: how the instances of a requirement are divided among its sources. No I/O, no state."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from yellowdog_client.model import (
    ComputeProvisionStrategy,
    ComputeSource,
    SingleSourceProvisionStrategy,
    SplitProvisionStrategy,
    WaterfallProvisionStrategy,
)

from yellowdog_local.compute import clouds
from yellowdog_local.state.records import SourceRecord

_PREFIX = "co.yellowdog.platform.model."


STRATEGIES: dict[str, Callable[[list[ComputeSource]], ComputeProvisionStrategy]] = {
    _PREFIX + "SingleSourceProvisionStrategy": SingleSourceProvisionStrategy,
    _PREFIX + "SplitProvisionStrategy": SplitProvisionStrategy,
    _PREFIX + "WaterfallProvisionStrategy": WaterfallProvisionStrategy,
}


def shares(
    strategy: ComputeProvisionStrategy, sources: Sequence[SourceRecord], wanted: int
) -> Iterator[tuple[SourceRecord, int]]:
    """Pairs of a source and the number of instances to request from it, without sources that get none."""
    if wanted <= 0:
        return
    if isinstance(strategy, SplitProvisionStrategy):
        counts = _split([clouds.stated_room(s.entity, s.alive) for s in sources], wanted)
    else:
        # A single source is a waterfall of one.
        counts = _waterfall([_able(s) for s in sources], wanted)
    for source, count in zip(sources, counts):  # noqa: B905  both are as long as the sources
        if count > 0:
            yield source, count


def _able(source: SourceRecord) -> int:
    unable = source.exhausted or clouds.refusal(source.entity)
    return 0 if unable else clouds.room(source.entity, source.alive)


def _waterfall(rooms: list[int], wanted: int) -> list[int]:
    counts = []
    for room in rooms:
        counts.append(min(room, wanted))
        wanted -= counts[-1]
    # The last source also gets the request that exceeds every limit, and refuses it.
    counts[-1] += wanted
    return counts


def _split(rooms: list[int], wanted: int) -> list[int]:
    counts = [wanted // len(rooms) + (1 if n < wanted % len(rooms) else 0) for n in range(len(rooms))]
    surplus = sum(max(0, count - room) for count, room in zip(counts, rooms))  # noqa: B905
    counts = [min(count, room) for count, room in zip(counts, rooms)]  # noqa: B905
    for n, room in enumerate(rooms):
        extra = min(surplus, room - counts[n])
        counts[n] += extra
        surplus -= extra
    counts[-1] += surplus
    return counts
