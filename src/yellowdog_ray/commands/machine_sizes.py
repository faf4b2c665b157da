"""The sizes of a node type's machines, and the `resources` that they offer to Ray where the YAML states none.

Ray requests them before it checks the YAML; only `ray up`, and commands that may create a cluster, read them. An
unknown size is no failure here; its reason is kept for the check, which then refuses to create anything.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from yellowdog_ray.cluster.resources import GIB, excess
from yellowdog_ray.commands.machine_labels import add_labels
from yellowdog_ray.config.models import FILLED_KEY, Internal
from yellowdog_ray.config.node_config import NodeConfig, parse_node_config
from yellowdog_ray.errors import ConfigError, NotAuthorised, NotFound, RayDogError, Refused
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.concurrency import run_concurrently
from yellowdog_ray.platform.types import MachineSize

MEMORY_SHARE = 0.7
"""The share of a machine's memory that is declared. Ray keeps 30 % for objects
(DEFAULT_OBJECT_STORE_MEMORY_PROPORTION of Ray 2.60), and its other providers declare the rest."""


@dataclass(frozen=True)
class KnownSize:
    """The smallest machine that a node type may get, and the origin of that size."""

    size: MachineSize
    origin: str

    @property
    def resources(self) -> dict[str, int]:
        """The resources that a machine of that size offers to Ray."""
        resources = {"CPU": max(1, int(self.size.vcpus)), "memory": int(self.size.ram * GIB * MEMORY_SHARE)}
        return {**resources, "GPU": self.size.gpus} if self.size.gpus else resources


def fill_in(config: Mapping[str, Any], source: str, connect: Callable[[], Platform]) -> dict[str, Any]:
    """Fill in the `resources` of every node type that states no CPU, and labels. Changes nothing on the platform.

    Values of the YAML stay. Without a CPU, Ray launches no node of a type for work that needs one, and the machine
    would offer its CPUs all the same.

    Args:
        config: the YAML as Ray has prepared it, unchecked; it is not changed.
        source: the YAML's name, for messages.
        connect: creates the platform client.

    Returns:
        The configuration with `resources` everywhere. Under `provider`, for `bootstrap`: their origin, or the reason
        why they are unknown; and the labels that are not the YAML's.
    """
    result = copy.deepcopy(dict(config))
    node_types: dict[str, dict[str, Any]] = _node_types(result)
    missing = {name: kind for name, kind in node_types.items() if "CPU" not in (kind.get("resources") or {})}
    notes: dict[str, dict[str, Any]] = {}
    try:
        platform: Platform | RayDogError = connect()
    except RayDogError as error:
        platform = error
    sizes = [platform] * len(missing) if isinstance(platform, RayDogError) else _sizes(missing, source, platform)
    for (name, kind), found in zip(missing.items(), sizes, strict=True):
        kind["resources"] = kind.get("resources") or {}
        if isinstance(found, KnownSize):
            kind["resources"] = {**found.resources, **kind["resources"]}
            notes[name] = {"origin": found.origin}
        else:
            notes[name] = {"unknown": str(found)}
    if isinstance(platform, Platform):
        for name, labels in add_labels(node_types, platform).items():
            node_types[name]["labels"] = {**labels, **(node_types[name].get("labels") or {})}
            notes.setdefault(name, {})["labels"] = labels
    if notes:
        result["provider"][FILLED_KEY] = notes
    return result


def _sizes(
    node_types: Mapping[str, Mapping[str, Any]], source: str, platform: Platform
) -> list[KnownSize | RayDogError]:
    """The size of each node type's machines, or the reason why it is unknown."""

    def size(name: str) -> KnownSize | RayDogError:
        path = f"available_node_types.{name}.node_config"
        try:
            return machine_size(platform, parse_node_config(node_types[name].get("node_config") or {}, source, path))
        except RayDogError as error:
            return error

    return run_concurrently(size, node_types)


def _node_types(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    stated = config.get("available_node_types")
    node_types = stated if isinstance(stated, Mapping) else {}
    return {name: kind for name, kind in node_types.items() if isinstance(kind, dict)}


def machine_size(platform: Platform, node_config: NodeConfig) -> KnownSize:
    """The size of a node type's machines.

    Raises:
        ConfigError: YellowDog does not give the size.
        PlatformError: a call failed, or the template or the pool does not exist.
    """
    if node_config.worker_pool is not None:
        pool = platform.existing_pool(node_config.worker_pool)
        sizes = [node.size for node in platform.platform_nodes(pool.id) if node.alive and node.size]
        if not sizes:
            raise ConfigError(f"worker pool '{node_config.worker_pool}' has no platform node with a known size")
        return KnownSize(_smallest(sizes), f"the platform nodes of worker pool {node_config.worker_pool}")
    sources = platform.template(node_config.template).sources
    wanted = list(dict.fromkeys((each.provider, each.instance_type) for each in sources if each.instance_type))
    if not wanted:
        raise ConfigError(f"template '{node_config.template}' names no instance type")
    found = [_of_type(platform, provider, name) for provider, name in wanted]
    return KnownSize(_smallest(each.size for each in found), "; ".join(dict.fromkeys(each.origin for each in found)))


def _of_type(platform: Platform, provider: str | None, name: str) -> KnownSize:
    """An instance type's size from its cloud's description, or else from platform nodes of that type."""
    try:
        described = platform.instance_type(provider, name)
    except (Refused, NotAuthorised, NotFound):
        described = None  # the key may lack this permission
    if described is not None:
        return KnownSize(described, f"instance type {name}")
    seen = platform.seen_sizes(provider, name)
    if not seen:
        raise ConfigError(f"YellowDog has no instance type '{name}', and shows no platform node of that type")
    return KnownSize(_smallest(seen), f"platform nodes of instance type {name}, which do not report GPUs")


def _smallest(sizes: Iterable[MachineSize]) -> MachineSize:
    """The size that each of these machines has at least."""
    known = list(sizes)
    gpus = [size.gpus for size in known if size.gpus is not None]
    return MachineSize(
        min(size.vcpus for size in known),
        min(size.ram for size in known),
        min(gpus) if len(gpus) == len(known) else None,
    )


def describe_origins(internal: Internal) -> list[str]:
    """One line per node type with filled-in or incomplete `resources`, for the user.

    Raises:
        ConfigError: a node type has no `resources`, and they are unknown.
    """
    lines = []
    for name, kind in internal.node_types.items():
        if kind.resources_unknown is not None and kind.resources:
            lines.append(
                f"warning: {internal.source}: available_node_types.{name}.resources has no CPU, and RayDog cannot fill "
                f"it in: {kind.resources_unknown}. Work that needs a CPU launches no such node; write `CPU: 0` if that "
                "is intended"
            )
        elif kind.resources_unknown is not None:
            raise ConfigError(
                f"{internal.source}: available_node_types.{name}.resources is missing, and RayDog cannot fill it in: "
                f"{kind.resources_unknown}. Write it, for example `resources: {{CPU: 4}}`"
            )
        if kind.resources_origin is not None:
            lines.append(f"node type '{name}' offers {_format(kind.resources)}, from {kind.resources_origin}")
    return lines


def excess_warnings(platform: Platform, internal: Internal) -> list[str]:
    """A warning per node type that declares more than its machines have, where their size is known in advance."""
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
                f"{internal.source}: available_node_types.{name}.resources has {'; '.join(lacking)} ({known.origin}): "
                "Ray will overload such a node"
            )
    return warnings


_MEASURED = ("CPU", "GPU", "memory")


def _size_if_known(platform: Platform, config: NodeConfig) -> KnownSize | None:
    try:
        return machine_size(platform, config)
    except RayDogError:
        return None


def _format(resources: Mapping[str, float]) -> str:
    parts = [
        f"memory: {amount / GIB:.1f} GiB" if name == "memory" else f"{name}: {amount:g}"
        for name, amount in resources.items()
    ]
    return ", ".join(parts)
