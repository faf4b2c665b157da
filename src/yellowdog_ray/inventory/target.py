"""The cluster that a command is about: by its name, or by a YAML. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from yellowdog_ray import names
from yellowdog_ray.cluster.generations import find_last_work
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.inventory.account import Account, is_of
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import WorkRequirementView


@dataclass(frozen=True)
class Target:
    """A cluster's name and namespace."""

    name: str
    namespace: str | None


@dataclass(frozen=True)
class Found:
    """A cluster that YellowDog shows.

    Attributes:
        platform: the client for its namespace.
        work: its work requirement; the last one, if all have ended.
    """

    name: str
    platform: Platform
    work: WorkRequirementView


def parse_target(reference: str, namespace: str | None) -> Target:
    """The target that a command's argument names.

    Args:
        reference: a cluster's name, or the path of a YAML.
        namespace: the namespace that the user gives, which replaces the YAML's.

    Raises:
        ConfigError: it is neither.
    """
    if reference.endswith((".yaml", ".yml")) or "/" in reference:
        target = _of_yaml(Path(reference))
        return Target(target.name, namespace or target.namespace)
    if not names.is_valid_name(reference):
        raise ConfigError(f"'{reference}' is neither a YAML nor a cluster's name: a name has {names.NAMING_RULE}")
    return Target(reference, namespace)


def _of_yaml(file: Path) -> Target:
    from yellowdog_ray.config.readable import UNREADABLE, load  # imports PyYAML, which a cluster's name does not need

    try:
        config = load(file)
    except (*UNREADABLE, RecursionError) as error:
        text = " ".join(str(error).split())
        raise ConfigError(f"{file} is no YAML: {text}. `raydog validate {file}` shows the place") from error
    provider = config.get("provider") if isinstance(config, dict) else None
    name = config.get("cluster_name") if isinstance(config, dict) else None
    namespace = provider.get("cluster_namespace") if isinstance(provider, dict) else None
    if not isinstance(name, str) or not isinstance(namespace, str):
        raise ConfigError(f"{file}: cluster_name or provider.cluster_namespace is missing: give a RayDog YAML")
    return Target(name, namespace)


def find(account: Account, target: Target) -> Found | None:
    """The cluster, or None: one call if its namespace is known and it is alive.

    Without a namespace only living clusters are found: by two more calls.

    Raises:
        ConfigError: several namespaces have a cluster of this name.
        PlatformError: a call failed.
    """
    if target.namespace is not None:
        return _find_within(account, target.name, target.namespace)
    entries = account.platform.all_work(account.namespaces(None), names.common_part(target.name))
    namespaces = {entry.namespace for entry in entries if names.generation_of(target.name, entry.name)}
    found = [one for namespace in sorted(namespaces) if (one := _find_within(account, target.name, namespace))]
    if len(found) > 1:
        places = ", ".join(one.platform.namespace for one in found)
        raise ConfigError(f"namespaces {places} each have a cluster '{target.name}': name one of them with --namespace")
    return found[0] if found else None


def require_certain(account: Account, target: Target) -> None:
    """Check that a cluster that was found by its name alone is the only one of this name. At most one call.

    A search may not show a young cluster of another namespace yet, so only a key with one namespace makes it certain.

    Raises:
        ConfigError: it may not be.
    """
    readable = account.namespaces(target.namespace)
    if readable is None or len(readable) > 1:
        raise ConfigError(
            f"another namespace may have a cluster '{target.name}' too, which a search does not show yet. Name its "
            "namespace with --namespace, or omit --yes and confirm at the prompt"
        )


def _find_within(account: Account, name: str, namespace: str) -> Found | None:
    platform = account.within(namespace)
    work = find_last_work(platform, name)
    return Found(name, platform, work) if work is not None and is_of(work, name) else None
