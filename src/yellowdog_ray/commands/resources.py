"""What a node type's machines have, and what they offer to Ray where the YAML does not say it.

Ray asks at the beginning of every command, before it checks the YAML; so what cannot be found out is no failure here.
It is kept for `ray up`, which may not spend anything then.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from yellowdog_ray.cluster.resources import GIB, excess
from yellowdog_ray.config.models import FILLED_KEY, Internal, NodeConfig, parse_node_config
from yellowdog_ray.errors import ConfigError, NotAuthorised, NotFound, RayDogError, Refused
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import MachineSize

MEMORY_SHARE = 0.7
"""Ray keeps 30 % of a machine's memory for objects (DEFAULT_OBJECT_STORE_MEMORY_PROPORTION of Ray 2.60), and its other
providers declare the rest."""


@dataclass(frozen=True)
class Found:
    """The smallest of the machines that a node type may get, and where that is known from."""

    size: MachineSize
    origin: str

    @property
    def resources(self) -> dict[str, int]:
        """What a machine of that size offers to Ray."""
        resources = {"CPU": max(1, int(self.size.vcpus)), "memory": int(self.size.ram * GIB * MEMORY_SHARE)}
        return {**resources, "GPU": self.size.gpus} if self.size.gpus else resources


def fill_in(config: Mapping[str, Any], source: str, connect: Callable[[], Platform]) -> dict[str, Any]:
    """Give every node type without `resources` those of its machines. Changes nothing on the platform.

    Args:
        config: the YAML as Ray has prepared it, unchecked; it is not changed.
        source: the YAML's name, for messages.
        connect: makes the platform client; not called if there is nothing to fill in.

    Returns:
        The configuration with `resources` everywhere; under `provider`, for `bootstrap`, where they are from or why
        they are not known.
    """
    missing = [name for name, kind in _node_types(config).items() if "resources" not in kind]
    if not missing:
        return dict(config)
    result = copy.deepcopy(dict(config))
    kinds = {name: result["available_node_types"][name] for name in missing}
    sizes = _sizes(kinds, source, connect)
    notes: dict[str, dict[str, str]] = {}
    for (name, kind), found in zip(kinds.items(), sizes, strict=True):
        if isinstance(found, Found):
            kind["resources"] = found.resources
            notes[name] = {"origin": found.origin}
        else:
            kind["resources"] = {}
            notes[name] = {"unknown": str(found)}
    result["provider"][FILLED_KEY] = notes
    return result


def _sizes(
    kinds: Mapping[str, Mapping[str, Any]], source: str, connect: Callable[[], Platform]
) -> list[Found | RayDogError]:
    """How large each node type's machines are, or why that is not known."""
    try:
        platform = connect()
    except RayDogError as error:
        return [error] * len(kinds)

    def size(name: str) -> Found | RayDogError:
        path = f"available_node_types.{name}.node_config"
        try:
            return machine_size(platform, parse_node_config(kinds[name].get("node_config") or {}, source, path))
        except RayDogError as error:
            return error

    return run_concurrently(size, kinds)


def _node_types(config: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    node_types = config.get("available_node_types")
    kinds = node_types if isinstance(node_types, Mapping) else {}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, Mapping)}


def machine_size(platform: Platform, node_config: NodeConfig) -> Found:
    """How large the machines of a node type are.

    Raises:
        ConfigError: YellowDog does not say.
        PlatformError: YellowDog could not be asked, or lacks the template or the pool.
    """
    if node_config.worker_pool is not None:
        pool = platform.existing_pool(node_config.worker_pool)
        sizes = [node.size for node in platform.platform_nodes(pool.id) if node.alive and node.size]
        if not sizes:
            raise ConfigError(f"worker pool '{node_config.worker_pool}' has no platform node that says its size")
        return Found(_smallest(sizes), f"the platform nodes of worker pool {node_config.worker_pool}")
    wanted = platform.instance_types_of(node_config.template)
    if not wanted:
        raise ConfigError(f"template '{node_config.template}' names no instance type")
    found = [_of_type(platform, provider, name) for provider, name in wanted]
    return Found(_smallest(each.size for each in found), "; ".join(dict.fromkeys(each.origin for each in found)))


def _of_type(platform: Platform, provider: str | None, name: str) -> Found:
    """An instance type's size, as its cloud describes it, or else as platform nodes of that type have said it."""
    try:
        described = platform.instance_type(provider, name)
    except (Refused, NotAuthorised, NotFound):
        described = None  # a key need not be allowed to ask
    if described is not None:
        return Found(described, f"instance type {name}")
    seen = platform.seen_sizes(provider, name)
    if not seen:
        raise ConfigError(f"YellowDog knows no instance type '{name}', and shows no platform node of that type")
    return Found(_smallest(seen), f"platform nodes of instance type {name}, which do not tell of GPUs")


def _smallest(sizes: Iterable[MachineSize]) -> MachineSize:
    """What every one of these machines has."""
    known = list(sizes)
    gpus = [size.gpus for size in known if size.gpus is not None]
    return MachineSize(
        min(size.vcpus for size in known),
        min(size.ram for size in known),
        min(gpus) if len(gpus) == len(known) else None,
    )


def filled_in(internal: Internal) -> list[str]:
    """What was filled in, to be said aloud.

    Raises:
        ConfigError: a node type has no `resources`, and they could not be filled in.
    """
    said = []
    for name, kind in internal.node_types.items():
        if kind.resources_unknown is not None:
            raise ConfigError(
                f"{internal.source}: available_node_types.{name}.resources is missing, and YellowDog cannot tell what "
                f"to fill in: {kind.resources_unknown}. Write it, for example `resources: {{CPU: 4}}`"
            )
        if kind.resources_origin is not None:
            said.append(f"node type '{name}' offers {_words(kind.resources)}, from {kind.resources_origin}")
    return said


def declared_too_much(platform: Platform, internal: Internal) -> list[str]:
    """What the YAML declares and the machines do not have, as far as it can be known before they are there."""
    declared = {
        name: NodeConfig(compute_requirement_template=kind.compute_requirement_template, worker_pool=kind.worker_pool)
        for name, kind in internal.node_types.items()
        if kind.resources_origin is None and any(kind.resources.get(word) for word in _MEASURED)
    }
    configs = list(dict.fromkeys(declared.values()))
    found = dict(zip(configs, run_concurrently(partial(_size_if_known, platform), configs), strict=True))
    warnings = []
    for name, config in declared.items():
        kind, known = internal.node_types[name], found[config]
        if known is not None and (lacking := excess(kind.resources, known.size)):
            warnings.append(
                f"{internal.source}: available_node_types.{name}.resources has {', '.join(lacking)} ({known.origin}): "
                "Ray places more on such a node than it can bear"
            )
    return warnings


_MEASURED = ("CPU", "GPU", "memory")


def _size_if_known(platform: Platform, config: NodeConfig) -> Found | None:
    try:
        return machine_size(platform, config)
    except RayDogError:
        return None


def _words(resources: Mapping[str, float]) -> str:
    words = [
        f"memory: {amount / GIB:.1f} GiB" if name == "memory" else f"{name}: {amount:g}"
        for name, amount in resources.items()
    ]
    return ", ".join(words)
