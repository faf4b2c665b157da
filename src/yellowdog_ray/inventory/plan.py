"""The requests of a YAML to the platform, as far as they can be read: its mistakes must not hide others. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yellowdog_ray import names
from yellowdog_ray.config.readable import UNREADABLE, is_endless, load
from yellowdog_ray.errors import ConfigError


@dataclass(frozen=True)
class NodeTypePlan:
    """The requests of a node type. Values of another form than text or numbers are missing."""

    name: str
    template: str | None = None
    pool: str | None = None
    image: str | None = None
    max_workers: int | None = None


@dataclass(frozen=True)
class Plan:
    """The requests of a YAML.

    Attributes:
        private: whether the head is reached at its private address.
        keeps_token: whether `ray up` keeps the cluster's token on this machine.
    """

    source: str
    cluster: str | None = None
    namespace: str | None = None
    auth: Mapping[str, Any] | None = None
    private: bool = False
    keeps_token: bool = True
    max_workers: int | None = None
    head_type: str | None = None
    node_types: tuple[NodeTypePlan, ...] = ()

    def machines_of(self, template: str) -> int | None:
        """How many machines a template must provide at most; None if a node type has no limit of its own."""
        numbers = [
            1 if each.name == self.head_type else each.max_workers
            for each in self.node_types
            if each.template == template
        ]
        known = [number for number in numbers if number is not None]
        return sum(known) if len(known) == len(numbers) else self.max_workers


def read_plan(file: Path) -> Plan:
    """The plan of a YAML; an empty one if it cannot be read, which its own check reports."""
    source = str(file)
    try:
        config = load(file)
    except (ConfigError, RecursionError, *UNREADABLE):
        return Plan(source)
    if not isinstance(config, Mapping) or is_endless(config):
        return Plan(source)
    provider, auth = _mapping(config.get("provider")), _mapping(config.get("auth"))
    types = _mapping(config.get("available_node_types"))
    return Plan(
        source,
        _name(config.get("cluster_name")),
        _name(provider.get("cluster_namespace")),
        auth or _mapping(provider.get("auth")) or None,
        provider.get("use_internal_ips") is True and provider.get("use_external_head_ip") is not True,
        provider.get("ray_auth") != "none",
        _number(config.get("max_workers")),
        _text(config.get("head_node_type")),
        tuple(_node_type(str(name), _mapping(types[name])) for name in types),
    )


def _node_type(name: str, node_type: Mapping[str, Any]) -> NodeTypePlan:
    config = _mapping(node_type.get("node_config"))
    template, pool, image = map(_text, map(config.get, ("compute_requirement_template", "worker_pool", "images_id")))
    return NodeTypePlan(name, template, pool, image, _number(node_type.get("max_workers")))


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and names.is_valid_name(value) else None


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
