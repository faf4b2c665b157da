"""Warnings about tags that a node type's cloud would refuse. Reads templates only where a tag may be refused."""

from __future__ import annotations

from collections.abc import Mapping

from yellowdog_ray.config.instance_tags import refused_by_google
from yellowdog_ray.config.mistakes import shown
from yellowdog_ray.config.models import Internal, ProviderSettings
from yellowdog_ray.errors import RayDogError
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently

_GOOGLE = "GOOGLE"


def tag_warnings(platform: Platform, settings: ProviderSettings) -> list[str]:
    """A warning per node type on Google Cloud with tags that are no labels there: two calls per such template.

    Without such tags it makes no call.
    """
    refused = _refused(settings.internal, settings.instance_tags)
    if not refused:
        return []
    templates = {name: settings.internal.node_types[name].compute_requirement_template or "" for name in refused}
    wanted = sorted(set(templates.values()))
    clouds = dict(zip(wanted, run_concurrently(lambda each: _clouds(platform, each), wanted), strict=True))
    return [
        f"{settings.internal.source}: available_node_types.{name}: Google Cloud may refuse machines with the tag(s) "
        f"{', '.join(map(shown, keys))}. Use at most 63 lower-case letters, digits, '-' and '_' in keys and values, "
        "and begin a key with a letter"
        for name, keys in refused.items()
        if _GOOGLE in clouds[templates[name]]
    ]


def _refused(internal: Internal, common: Mapping[str, str]) -> dict[str, list[str]]:
    """The doubtful keys of each node type that has a template."""
    found = {
        name: refused_by_google({**common, **kind.instance_tags})
        for name, kind in internal.node_types.items()
        if kind.compute_requirement_template is not None
    }
    return {name: keys for name, keys in found.items() if keys}


def _clouds(platform: Platform, template: str) -> set[str]:
    """The cloud providers of a template's sources; empty if YellowDog does not show them."""
    try:
        return {source.provider for source in platform.template(template).sources if source.provider}
    except RayDogError:
        return set()
