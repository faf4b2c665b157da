"""Dynamic templates over the SDK: choice and order of sources, and the report."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from yellowdog_client import PlatformClient
from yellowdog_client.model import (
    AwsFleetComputeSource,
    BestComputeSourceReport,
    ComputeRequirementDynamicTemplate,
    ComputeRequirementDynamicTemplateTestResult,
    ComputeRequirementTemplateUsage,
    ComputeSource,
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
from yellowdog_client.model.exceptions import InvalidRequestException

from tests.contract.examples import filled
from yellowdog_local.testing import RunningPlatform

STRATEGY = "co.yellowdog.platform.model.{}ProvisionStrategy"
LOWER, HIGHER = NumericAttributeRankOrder.PREFER_LOWER, NumericAttributeRankOrder.PREFER_HIGHER


@pytest.fixture(autouse=True)
def _sources(client: PlatformClient) -> None:
    """Three sources in a namespace of their own, beside the seeded one."""
    for name, region, price, tier in (("a", "eu", 3.0, "gold"), ("b", "us", 1.0, "tin"), ("c", "eu", 2.0, None)):
        add_source(client, SimulatorComputeSource(name=name, region=region), price, tier)


def add_source(client: PlatformClient, source: ComputeSource, price: float, tier: str | None) -> None:
    attributes: list[Any] = [NumericAttributeValue("user.price", price)]
    attributes += [StringAttributeValue("user.tier", tier)] if tier else []
    client.compute_client.add_compute_source_template(
        ComputeSourceTemplate(source=source, namespace="mine", attributes=attributes)
    )


def use(name: str = "best") -> ComputeRequirementTemplateUsage:
    return ComputeRequirementTemplateUsage(f"mine/{name}", "requirement", targetInstanceCount=2)


def reported(client: PlatformClient, strategy: str = "Waterfall", **fields: Any) -> BestComputeSourceReport:
    """The result of testing a dynamic template."""
    template = ComputeRequirementDynamicTemplate(
        name="best",
        strategyType=STRATEGY.format(strategy),
        namespace="mine",
        **{"sourceNamespaces": ["mine"], **fields},
    )
    client.compute_client.add_compute_requirement_template(template)
    result = client.compute_client.test_compute_requirement_template(use())
    assert isinstance(result, ComputeRequirementDynamicTemplateTestResult)
    used = [source.createdFromId for source in result.computeRequirement.provisionStrategy.sources]
    assert used == result.report.selectedSourceTemplateIds
    return result.report


def chosen(client: PlatformClient, **fields: Any) -> list[str]:
    report = reported(client, **fields)
    names = {source.sourceTemplateId: source.name for source in report.sources or []}
    return [str(names[template_id]) for template_id in report.selectedSourceTemplateIds or []]


@pytest.mark.parametrize(
    ("constraint", "names"),
    [
        (StringAttributeConstraint("source.region", anyOf={"eu"}), ["a", "c"]),
        (StringAttributeConstraint("source.region", noneOf={"eu"}), ["b"]),
        (StringAttributeConstraint("source.name", pattern="[ab]"), ["a", "b"]),
        (StringAttributeConstraint("user.tier", anyOf={"gold", "tin"}), ["a", "b"]),
        (StringAttributeConstraint("user.tier", noneOf={"gold"}), ["b", "c"]),
        (StringAttributeConstraint("source.type", anyOf={"SimulatorComputeSource"}), ["a", "b", "c"]),
        (NumericAttributeConstraint("user.price", max=2), ["b", "c"]),
        (NumericAttributeConstraint("user.price", min=1.5, max=2.5), ["c"]),
    ],
)
def test_source_is_excluded_by_a_constraint(client: PlatformClient, constraint: Any, names: list[str]) -> None:
    assert chosen(client, constraints=[constraint]) == names


@pytest.mark.parametrize(
    ("preference", "names"),
    [
        (NumericAttributePreference("user.price", rankOrder=LOWER), ["b", "c", "a"]),
        (NumericAttributePreference("user.price", rankOrder=HIGHER), ["a", "c", "b"]),
        (StringAttributePreference("source.region", preferredValues=["us", "eu"]), ["b", "a", "c"]),
        (StringAttributePreference("user.tier", preferredPatterns=["t.*", "g.*"]), ["b", "a", "c"]),
    ],
)
def test_preferred_source_comes_first(client: PlatformClient, preference: Any, names: list[str]) -> None:
    assert chosen(client, preferences=[preference]) == names


def test_preferences_are_weighted(client: PlatformClient) -> None:
    cheap = NumericAttributePreference("user.price", weight=1, rankOrder=LOWER)
    golden = StringAttributePreference("user.tier", weight=3, preferredValues=["gold"])
    report = reported(client, preferences=[cheap, golden])
    ranks = [(source.name, source.rank, source.totalScore) for source in report.sources or []]
    assert ranks == [("a", 1, 0.75), ("b", 2, 0.25), ("c", 3, 0.125)]
    preference = (report.preferences or {})["user.price"]
    assert (preference.weight, preference.lowestValue, preference.highestValue) == (1, 1.0, 3.0)


def test_report_lists_all_considered_sources(client: PlatformClient) -> None:
    in_eu = StringAttributeConstraint("source.region", anyOf={"eu"})
    by_price = NumericAttributePreference("user.price", rankOrder=LOWER)
    report = reported(client, constraints=[in_eu], preferences=[by_price], maximumSourceCount=1)
    assert (report.sourcesConsidered, report.sourcesSelected, report.totalRanks) == (3, 1, 2)
    assert [(s.name, s.rank, s.region) for s in report.sources or []] == [("c", 1, "eu"), ("a", 2, "eu")]
    assert len(report.rejectedSourceTemplateIds or []) == 2
    best = (report.sources or [])[0]
    assert best.attributes is not None
    assert (best.attributes["user.price"].value, best.attributes["user.price"].score) == (2.0, 1.0)
    assert (report.constraints or {})["source.region"].anyOf == {"eu"}  # type: ignore[attr-defined]


def test_single_source_strategy_takes_the_best_source(client: PlatformClient) -> None:
    by_price = NumericAttributePreference("user.price", rankOrder=LOWER)
    assert chosen(client, strategy="SingleSource", preferences=[by_price]) == ["b"]


def test_source_is_selected_by_its_provider(client: PlatformClient) -> None:
    add_source(client, filled(AwsFleetComputeSource, name="cloud"), 1.0, None)
    assert chosen(client, constraints=[StringAttributeConstraint("source.provider", anyOf={"AWS"})]) == ["cloud"]


def test_sources_are_excluded_without_the_required_traits(client: PlatformClient) -> None:
    assert chosen(client, sourceTraits=ComputeSourceTraitsFilter(canScaleOut=True)) == ["a", "b", "c"]
    template = client.compute_client.get_compute_requirement_template_by_name("mine", "best")
    template.sourceTraits = ComputeSourceTraitsFilter(isSelfMaintained=True)
    client.compute_client.update_compute_requirement_template(template)
    with pytest.raises(requests.HTTPError, match="No sources"):
        client.compute_client.test_compute_requirement_template(use())


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"constraints": [NumericAttributeConstraint("user.price", max=0)]}, 400, "No sources meet the constraints"),
        ({"minimumSourceCount": 4}, 400, "No sources .*: 3 do, and minimumSourceCount is 4"),
        ({"constraints": [NumericAttributeConstraint("yd.ram", min=4)]}, 422, "attribute yd.ram .* is not covered"),
    ],
)
def test_template_is_refused_without_a_matching_source(
    client: PlatformClient, fields: dict[str, Any], status: int, words: str
) -> None:
    with pytest.raises(requests.HTTPError, match=words) as refused:
        reported(client, **fields)
    assert refused.value.response.status_code == status


def test_malformed_pattern_is_refused(client: PlatformClient) -> None:
    with pytest.raises(InvalidRequestException, match="not a regular expression"):
        reported(client, constraints=[StringAttributeConstraint("source.name", pattern="[")])


def test_unknown_template_is_not_found(client: PlatformClient) -> None:
    with pytest.raises(requests.HTTPError, match="'mine/none' not found") as refused:
        client.compute_client.test_compute_requirement_template(use("none"))
    assert refused.value.response.status_code == 404


def test_requirement_uses_the_chosen_sources_and_keeps_their_report(
    local: RunningPlatform, client: PlatformClient
) -> None:
    report = reported(client, preferences=[NumericAttributePreference("user.price", rankOrder=LOWER)])
    made = client.compute_client.provision_compute_requirement_template(use())
    local.advance(60)
    requirement = client.compute_client.get_compute_requirement_by_id(made.id)
    assert requirement.expectedInstanceCount == 2
    kept = client.compute_client.get_best_compute_source_report_by_compute_requirement(made.id)
    assert kept.selectedSourceTemplateIds == report.selectedSourceTemplateIds
    assert kept.provisionedRequirementId == made.id
    assert [source.provisionedSourceId for source in kept.sources or []] == [
        source.id for source in requirement.provisionStrategy.sources
    ]


def test_requirement_of_a_static_template_has_no_report(client: PlatformClient) -> None:
    usage = ComputeRequirementTemplateUsage("demo/local", "plain", "demo", targetInstanceCount=1)
    made = client.compute_client.provision_compute_requirement_template(usage)
    with pytest.raises(requests.HTTPError, match="404"):
        client.compute_client.get_best_compute_source_report_by_compute_requirement(made.id)
