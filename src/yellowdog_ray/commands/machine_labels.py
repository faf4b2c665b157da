"""Ray's labels that every machine of a node type has, as far as its template decides them.

Ray's autoscaler selects a node type for work with a label selector by the labels of the type. So they must be known
before any node of it exists. Each node determines the others by itself (node/machine_labels.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from ray.util.accelerators import accelerators

from yellowdog_ray.errors import RayDogError
from yellowdog_ray.node.machine_labels import (
    ACCELERATOR,
    MARKET,
    ON_DEMAND,
    REGION,
    SPOT,
    ZONE,
    label_value,
    zone_label,
)
from yellowdog_ray.platform.account_types import TemplateSource
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently

_ACCELERATORS = frozenset(value for name, value in vars(accelerators).items() if name.isupper())
"""Ray's names of accelerators, such as `T4`."""


def add_labels(node_types: Mapping[str, Mapping[str, Any]], platform: Platform) -> dict[str, dict[str, str]]:
    """The further labels of each node type with a template: two calls per template, and one per type of GPU machine.

    Labels of the YAML stay. A template that cannot be read gives none: the checks of `ray up` report that.

    Args:
        node_types: the section of the YAML, unchecked but for `resources`.
        platform: the platform.
    """
    wanted = {name: key for name, kind in node_types.items() if (key := _key(kind)) is not None}
    keys = list(dict.fromkeys(wanted.values()))
    found = dict(zip(keys, run_concurrently(partial(_labels_if_known, platform), keys), strict=True))
    added = {name: _without(found[key], node_types[name].get("labels") or {}) for name, key in wanted.items()}
    return {name: labels for name, labels in added.items() if labels}


def _key(node_type: Mapping[str, Any]) -> tuple[str, bool] | None:
    """The template of a node type, and whether it offers GPUs; None without a template."""
    section = node_type.get("node_config")
    template = section.get("compute_requirement_template") if isinstance(section, Mapping) else None
    if not isinstance(template, str):
        return None
    return template, bool((node_type.get("resources") or {}).get("GPU"))


def _without(labels: Mapping[str, str], stated: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in labels.items() if key not in stated}


def _labels_if_known(platform: Platform, key: tuple[str, bool]) -> dict[str, str]:
    try:
        return _labels(platform, *key)
    except RayDogError:
        return {}


def _labels(platform: Platform, reference: str, has_gpus: bool) -> dict[str, str]:
    template = platform.template(reference)
    if not template.is_static:
        return {}  # its sources may be others at the next launch
    sources = template.sources
    found = {
        MARKET: _common(_market(source) for source in sources),
        REGION: _common(label_value(source.region) for source in sources),
        ZONE: _common(zone_label(source.region, source.zone) for source in sources),
        ACCELERATOR: _common(_accelerator(platform, source) for source in sources) if has_gpus else None,
    }
    return {label: value for label, value in found.items() if value is not None}


def _common(values: Iterable[str | None]) -> str | None:
    """The value of all sources; None if they differ, or one is unknown."""
    different = set(values)
    return different.pop() if len(different) == 1 else None


def _market(source: TemplateSource) -> str | None:
    return None if source.spot is None else SPOT if source.spot else ON_DEMAND


def _accelerator(platform: Platform, source: TemplateSource) -> str | None:
    """Ray's name of a source's GPUs, which is a word of the cloud's own name for them."""
    size = platform.instance_type(source.provider, source.instance_type) if source.instance_type else None
    words = {word for name in (size.gpu_names if size else ()) for word in re.split(r"[^A-Za-z0-9]+", name)}
    return _common(words & _ACCELERATORS)
