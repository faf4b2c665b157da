from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest
from yellowdog_client.model import (
    ComputeRequirementDynamicTemplate,
    ComputeSourceTemplate,
    ComputeSourceTraitsFilter,
    NumericAttributeConstraint,
    NumericAttributePreference,
    NumericAttributeRankOrder,
    NumericAttributeValue,
    SimulatorComputeSource,
    StringAttributeConstraint,
    StringAttributePreference,
    StringAttributeValue,
)

from yellowdog_local.compute import clouds
from yellowdog_local.compute.selection import attributes_of, choose, name_provisioned
from yellowdog_local.errors import InvalidRequest, NoSources, NotCovered
from yellowdog_local.state.plain_records import SourceTemplateRecord

LOWER, HIGHER = NumericAttributeRankOrder.PREFER_LOWER, NumericAttributeRankOrder.PREFER_HIGHER
TRAITS = clouds.traits(can_stop=False)


def record(name: str, region: str = "eu", namespace: str = "demo", **user: Any) -> SourceTemplateRecord:
    values = [
        StringAttributeValue(f"user.{key}", value)
        if isinstance(value, str)
        else NumericAttributeValue(f"user.{key}", value)
        for key, value in user.items()
    ]
    entity = ComputeSourceTemplate(SimulatorComputeSource(name, region=region), namespace, attributes=values)
    return SourceTemplateRecord(0, f"id-{name}", namespace, name, entity)


RECORDS = [record("a", cost=3.0), record("b", "us", tier="gold", cost=1.0), record("c", tier="base", cost=2.0)]


def chosen(single: bool = False, **fields: Any) -> str:
    template = ComputeRequirementDynamicTemplate("t", "any", **fields)
    records, report = choose(template, RECORDS, TRAITS, single=single)
    assert report.selectedSourceTemplateIds == [r.id for r in records]
    assert {*report.selectedSourceTemplateIds, *(report.rejectedSourceTemplateIds or ())} <= {r.id for r in RECORDS}
    return "".join(r.name for r in records)


@pytest.mark.parametrize(
    ("constraint", "names"),
    [
        (StringAttributeConstraint("source.region", anyOf={"us"}), "b"),
        (StringAttributeConstraint("source.region", noneOf={"us"}), "ac"),
        (StringAttributeConstraint("user.tier", noneOf={"gold"}), "ac"),
        (StringAttributeConstraint("user.tier", anyOf={"gold", "base"}), "bc"),
        (StringAttributeConstraint("user.tier", pattern="g.*"), "b"),
        (StringAttributeConstraint("source.name", pattern="[ab]"), "ab"),
        (NumericAttributeConstraint("user.cost", min=2), "ac"),
        (NumericAttributeConstraint("user.cost", min=1, max=2), "bc"),
    ],
)
def test_sources_that_meet_a_constraint_are_selected_in_order(constraint: Any, names: str) -> None:
    assert chosen(constraints=[constraint]) == names


def test_number_constraint_excludes_a_source_with_text_or_nothing() -> None:
    with pytest.raises(NoSources):
        chosen(constraints=[NumericAttributeConstraint("user.tier")])


@pytest.mark.parametrize(
    ("preferences", "names"),
    [
        ([NumericAttributePreference("user.cost", rankOrder=LOWER)], "bca"),
        ([NumericAttributePreference("user.cost", rankOrder=HIGHER)], "acb"),
        ([StringAttributePreference("user.tier", preferredValues=["base", "gold"])], "cba"),
        ([StringAttributePreference("source.region", preferredPatterns=["u.*"])], "bac"),
        (
            [
                NumericAttributePreference("user.cost", weight=1, rankOrder=LOWER),
                StringAttributePreference("user.tier", weight=3, preferredValues=["base"]),
            ],
            "cba",
        ),
        ([NumericAttributePreference("user.cost", weight=0, rankOrder=LOWER)], "abc"),
    ],
)
def test_preferences_rank_sources_by_weighted_score(preferences: list[Any], names: str) -> None:
    assert chosen(preferences=preferences) == names


def test_counts_limit_the_selection() -> None:
    assert (chosen(maximumSourceCount=2), chosen(single=True, maximumSourceCount=2)) == ("ab", "a")
    assert chosen(minimumSourceCount=3) == "abc"
    with pytest.raises(NoSources, match="3 do, and minimumSourceCount is 4"):
        chosen(minimumSourceCount=4)


def test_namespaces_and_traits_exclude_sources() -> None:
    assert chosen(sourceNamespaces=["demo"], sourceTraits=ComputeSourceTraitsFilter(canStopStart=False)) == "abc"
    for fields in ({"sourceNamespaces": ["other"]}, {"sourceTraits": ComputeSourceTraitsFilter(canStopStart=True)}):
        with pytest.raises(NoSources):
            chosen(**fields)


def test_cloud_data_and_invalid_patterns_are_refused() -> None:
    with pytest.raises(NotCovered, match=r"yd\.cost"):
        chosen(preferences=[NumericAttributePreference("yd.cost")])
    with pytest.raises(InvalidRequest, match="is not a regular expression"):
        chosen(constraints=[StringAttributeConstraint("source.name", pattern="(")])


def test_equal_scores_share_a_rank() -> None:
    template = ComputeRequirementDynamicTemplate(
        "t", "any", preferences=[StringAttributePreference("source.region", preferredValues=["eu"])]
    )
    _, report = choose(template, RECORDS, TRAITS, single=False)
    assert [(s.name, s.rank, s.totalScore) for s in report.sources or ()] == [("a", 1, 1), ("c", 1, 1), ("b", 2, 0)]
    assert report.totalRanks == 2


def test_attribute_of_a_template_replaces_that_of_its_source() -> None:
    own = record("a")
    own.entity.attributes = [StringAttributeValue("source.region", "made up"), StringAttributeValue("user.none")]
    attributes = attributes_of(own)
    assert attributes["source.region"] == "made up"
    assert attributes["source.type"] == "SimulatorComputeSource"
    assert not attributes.keys() & {"user.none", "source.provider", "source.subregion"}


def test_report_has_the_ids_of_provisioned_sources() -> None:
    _, report = choose(ComputeRequirementDynamicTemplate("t", "any"), RECORDS, TRAITS, single=False)
    source = SimulatorComputeSource("b")
    source.id, source.createdFromId = "provisioned", "id-b"
    name_provisioned(report, "requirement", [source], datetime(2026, 1, 1, tzinfo=timezone.utc))
    assert report.provisionedRequirementId == "requirement"
    assert [s.provisionedSourceId for s in report.sources or ()] == [None, "provisioned", None]
