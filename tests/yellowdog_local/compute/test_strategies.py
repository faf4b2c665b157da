from __future__ import annotations

from typing import Any

import pytest
from yellowdog_client.model import (
    ComputeProvisionStrategy,
    InstanceStatus,
    SimulatorComputeSource,
    SplitProvisionStrategy,
    WaterfallProvisionStrategy,
)

from yellowdog_local.compute.strategies import shares
from yellowdog_local.state.records import SourceRecord

SPLIT, WATERFALL = SplitProvisionStrategy([]), WaterfallProvisionStrategy([])


def sources(*limits: int) -> list[SourceRecord]:
    return [SourceRecord(str(n), SimulatorComputeSource("s", limit=limit)) for n, limit in enumerate(limits)]


def counts(strategy: ComputeProvisionStrategy, records: list[SourceRecord], wanted: int) -> dict[str, int]:
    return {source.id: count for source, count in shares(strategy, records, wanted)}


@pytest.mark.parametrize(
    ("strategy", "limits", "wanted", "shared"),
    [
        (WATERFALL, (2, 3, 4), 4, {"0": 2, "1": 2}),
        (WATERFALL, (2, 3), 9, {"0": 2, "1": 7}),
        (WATERFALL, (0, 3), 4, {"0": 4}),
        (SPLIT, (9, 9, 9), 7, {"0": 3, "1": 2, "2": 2}),
        (SPLIT, (1, 9, 9), 7, {"0": 1, "1": 4, "2": 2}),
        (SPLIT, (1, 2), 7, {"0": 1, "1": 6}),
        (SPLIT, (9, 9), 1, {"0": 1}),
        (SPLIT, (9, 9), 0, {}),
        (WATERFALL, (9, 9), -1, {}),
    ],
)
def test_instances_are_divided_within_the_limits_and_the_last_source_gets_the_rest(
    strategy: Any, limits: tuple[int, ...], wanted: int, shared: dict[str, int]
) -> None:
    assert counts(strategy, sources(*limits), wanted) == shared


def test_waterfall_skips_exhausted_failing_and_full_sources() -> None:
    records = sources(9, 9, 2, 9)
    records[0].exhausted = True
    records[1].entity = SimulatorComputeSource("s", failOnProvision=True)
    records[2].counts[InstanceStatus.RUNNING] = 2
    assert counts(WATERFALL, records, 3) == {"3": 3}


def test_split_includes_a_failing_source_and_counts_its_living_instances() -> None:
    records = sources(9, 3)
    records[0].entity = SimulatorComputeSource("s", failOnProvision=True, limit=9)
    records[1].counts[InstanceStatus.RUNNING] = 2
    records[1].counts[InstanceStatus.TERMINATED] = 5
    assert counts(SPLIT, records, 4) == {"0": 3, "1": 1}
