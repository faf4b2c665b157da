"""Selection of source templates for a dynamic template: filter by constraints, rank by preferences. No I/O, no state.

An attribute is a field of a source (`source.provider`) or a value that its template adds (`user.tier`). YellowDog's
own cloud data (`yd.cost`, `yd.ram`) does not exist here and is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import pairwise

from yellowdog_client.model import (
    AttributeConstraint,
    AttributePreference,
    BestComputeSourceReport,
    BestComputeSourceReportNumericConstraint,
    BestComputeSourceReportPreference,
    BestComputeSourceReportSource,
    BestComputeSourceReportSourceAttribute,
    BestComputeSourceReportStringConstraint,
    ComputeRequirementDynamicTemplate,
    ComputeRequirementSupportedOperations,
    ComputeSource,
    ComputeSourceTraits,
    NumericAttributeConstraint,
    NumericAttributePreference,
    NumericAttributeRankOrder,
    StringAttributeConstraint,
    StringAttributePreference,
)

from yellowdog_local.compute import clouds
from yellowdog_local.errors import InvalidRequest, NoSources, NotCovered
from yellowdog_local.state.plain_records import SourceTemplateRecord

Value = str | float

_SOURCE_ATTRIBUTES: dict[str, Callable[[ComputeSource], str | None]] = {
    "source.name": lambda source: source.name,
    "source.type": lambda source: source.type.rsplit(".", 1)[-1],
    "source.provider": lambda source: str(provider) if (provider := clouds.provider(source)) else None,
    "source.region": lambda source: source.region,
    "source.subregion": clouds.subregion,
    "source.instance-type": clouds.instance_type,
}
_USER_PREFIX = "user."


@dataclass
class _Candidate:
    record: SourceTemplateRecord
    attributes: dict[str, Value]
    scores: dict[str, float]
    total: float = 0.0
    rank: int = 1


def choose(
    template: ComputeRequirementDynamicTemplate,
    records: Sequence[SourceTemplateRecord],
    traits: ComputeSourceTraits,
    *,
    single: bool,
) -> tuple[list[SourceTemplateRecord], BestComputeSourceReport]:
    """Select sources for a dynamic template, the best first, with a report.

    Args:
        template: the dynamic template.
        records: all source templates, in order of creation.
        traits: the traits of every source of this platform.
        single: whether the strategy uses only one source.

    Raises:
        NoSources: fewer sources match than the template's `minimumSourceCount`, or none.
        NotCovered: the template uses an attribute of YellowDog's cloud data.
        InvalidRequest: a pattern is not a regular expression.
    """
    _check_attributes(template)
    namespaces = template.sourceNamespaces
    considered = [r for r in records if not namespaces or r.namespace in namespaces]
    left = [_Candidate(r, a, {}) for r in considered if _meets(template, a := attributes_of(r), traits)]
    if len(left) < max(1, template.minimumSourceCount or 0):
        raise NoSources(template.name, len(left), template.minimumSourceCount)
    ranked = _ranked(left, template.preferences or [])
    selected = ranked[: 1 if single else template.maximumSourceCount]
    chosen = {candidate.record.id for candidate in selected}
    report = BestComputeSourceReport(
        requirementTemplateId=template.id,
        namespace=template.namespace,
        selectedSourceTemplateIds=[candidate.record.id for candidate in selected],
        rejectedSourceTemplateIds=[record.id for record in considered if record.id not in chosen],
        sourcesConsidered=len(considered),
        sourcesSelected=len(selected),
        totalRanks=ranked[-1].rank,
        constraints={
            constraint.attribute or "": _reported_constraint(constraint) for constraint in template.constraints or []
        },
        preferences=dict(_preferences(ranked, template.preferences or [])),
        sources=[_reported(candidate, traits) for candidate in ranked],
        requirementSupportedOperations=ComputeRequirementSupportedOperations(
            canStopStart=traits.canStopStart, canScaleOut=traits.canScaleOut, canReprovision=True
        ),
    )
    return [candidate.record for candidate in selected], report


def name_provisioned(
    report: BestComputeSourceReport, requirement_id: str, sources: Sequence[ComputeSource], at: datetime
) -> None:
    """Add the ids of a requirement and its sources to a report."""
    report.createdTime, report.provisionedRequirementId = at, requirement_id
    became = {source.createdFromId: source.id for source in sources}
    for source in report.sources or []:
        source.provisionedSourceId = became.get(source.sourceTemplateId)


def attributes_of(record: SourceTemplateRecord) -> dict[str, Value]:
    """The attributes of a source by name; those of its template take precedence over its fields."""
    source = record.entity.source
    own = {name: value for name, of in _SOURCE_ATTRIBUTES.items() if (value := of(source)) is not None}
    added = {value.attribute or "": value.value for value in record.entity.attributes or [] if value.value is not None}
    return {**own, **added}


def _check_attributes(template: ComputeRequirementDynamicTemplate) -> None:
    names = [constraint.attribute or "" for constraint in template.constraints or []]
    names += [preference.attribute or "" for preference in template.preferences or []]
    for name in names:
        if name not in _SOURCE_ATTRIBUTES and not name.startswith(_USER_PREFIX):
            raise NotCovered(f"The attribute {name} of a dynamic template")


# ------------------------------------------------------------------------------------------------- constraints


def _meets(
    template: ComputeRequirementDynamicTemplate, attributes: dict[str, Value], traits: ComputeSourceTraits
) -> bool:
    wanted = asdict(template.sourceTraits) if template.sourceTraits else {}
    has = asdict(traits)
    return all(value in (None, has[name]) for name, value in wanted.items()) and all(
        _holds(constraint, attributes.get(constraint.attribute or "")) for constraint in template.constraints or []
    )


def _holds(constraint: AttributeConstraint, value: Value | None) -> bool:
    """Whether a source meets a constraint. Without the attribute it does only if the constraint excludes values."""
    if isinstance(constraint, NumericAttributeConstraint):
        return isinstance(value, (int, float)) and _between(value, constraint.min, constraint.max)
    if not isinstance(constraint, StringAttributeConstraint):
        return False
    text = None if value is None else str(value)
    return (
        (not constraint.anyOf or text in constraint.anyOf)
        and (not constraint.noneOf or text not in constraint.noneOf)
        and (constraint.pattern is None or (text is not None and _matches(constraint.pattern, text)))
    )


def _between(value: float, least: float | None, most: float | None) -> bool:
    return (least is None or value >= least) and (most is None or value <= most)


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.fullmatch(pattern, text) is not None
    except re.error as error:
        raise InvalidRequest(f"'{pattern}' is not a regular expression: {error}") from error


def _reported_constraint(
    constraint: AttributeConstraint,
) -> BestComputeSourceReportNumericConstraint | BestComputeSourceReportStringConstraint:
    if isinstance(constraint, NumericAttributeConstraint):
        return BestComputeSourceReportNumericConstraint(constraint.min, constraint.max)
    return BestComputeSourceReportStringConstraint(
        getattr(constraint, "anyOf", None), getattr(constraint, "noneOf", None), getattr(constraint, "pattern", None)
    )


# ------------------------------------------------------------------------------------------------- preferences


def _ranked(candidates: list[_Candidate], preferences: Sequence[AttributePreference]) -> list[_Candidate]:
    """Best first; equal scores share a rank and stay in their order of creation."""
    weights = sum(preference.weight or 0 for preference in preferences)
    for preference in preferences:
        for candidate, score in zip(candidates, _scores(preference, candidates), strict=True):
            candidate.scores[preference.attribute or ""] = score
            candidate.total += score * (preference.weight or 0) / weights if weights else 0
    ranked = sorted(candidates, key=lambda candidate: -candidate.total)
    for above, below in pairwise(ranked):
        below.rank = above.rank + (below.total < above.total)
    return ranked


def _scores(preference: AttributePreference, candidates: list[_Candidate]) -> Iterator[float]:
    """From 0, which a source without the attribute has as well, to 1 for the best."""
    values = [candidate.attributes.get(preference.attribute or "") for candidate in candidates]
    if isinstance(preference, NumericAttributePreference):
        return _numeric_scores(preference, values)
    if isinstance(preference, StringAttributePreference):
        return (_string_score(preference, value) for value in values)
    return (0.0 for _ in values)


def _numeric_scores(preference: NumericAttributePreference, values: list[Value | None]) -> Iterator[float]:
    numbers = [value for value in values if isinstance(value, (int, float))]
    for value in values:
        if not isinstance(value, (int, float)):
            yield 0.0
        elif max(numbers) == min(numbers):
            yield 1.0
        else:
            share = (value - min(numbers)) / (max(numbers) - min(numbers))
            yield 1 - share if preference.rankOrder is NumericAttributeRankOrder.PREFER_LOWER else share


def _string_score(preference: StringAttributePreference, value: Value | None) -> float:
    if value is None:
        return 0.0
    tests = [(str(value) == wanted) for wanted in preference.preferredValues or []]
    tests += [_matches(pattern, str(value)) for pattern in preference.preferredPatterns or []]
    return 1 - tests.index(True) / len(tests) if True in tests else 0.0


def _preferences(
    ranked: list[_Candidate], preferences: Sequence[AttributePreference]
) -> Iterator[tuple[str, BestComputeSourceReportPreference]]:
    for preference in preferences:
        name = preference.attribute or ""
        values = [value for c in ranked if isinstance(value := c.attributes.get(name), (int, float))]
        lowest, highest = (min(values), max(values)) if values else (None, None)
        yield name, BestComputeSourceReportPreference(preference.weight, lowest, highest)


def _reported(candidate: _Candidate, traits: ComputeSourceTraits) -> BestComputeSourceReportSource:
    source = candidate.record.entity.source
    return BestComputeSourceReportSource(
        sourceTemplateId=candidate.record.id,
        type=source.type,
        name=source.name,
        provider=clouds.provider(source),
        region=source.region,
        instanceType=clouds.instance_type(source),
        traits=traits,
        totalScore=candidate.total,
        rank=candidate.rank,
        attributes={
            name: BestComputeSourceReportSourceAttribute(value, candidate.scores.get(name))
            for name, value in sorted(candidate.attributes.items())
        },
    )
