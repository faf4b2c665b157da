"""The configuration file on the head: read again after another `ray up` replaced it."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from yellowdog_ray.config.models import INTERNAL_KEY, ProviderSettings, parse_provider
from yellowdog_ray.errors import RayDogError
from yellowdog_ray.monitor.changed_file import ChangedFile

logger = logging.getLogger(__name__)

CONFIG_FILE = "~/ray_bootstrap_config.yaml"
"""The configuration on the head, written by `ray up` (autoscaler/_private/commands.py of Ray 2.60)."""

_LIMITS = ("min_workers", "max_workers")


@dataclass(frozen=True)
class RayLimits:
    """Limits of Ray's that RayDog's settings do not contain.

    Attributes:
        min_workers: the minimum of each node type that has one.
        idle_timeout_minutes: after how long Ray terminates an idle worker; None if unknown.
        labels: the labels of each node type.
    """

    min_workers: dict[str, int] = field(default_factory=dict)
    idle_timeout_minutes: float | None = None
    labels: dict[str, dict[str, str]] = field(default_factory=dict)


class HeadFile:
    """The configuration on the head. After a change Ray reads it again but keeps its provider, which reads it here.

    Args:
        cluster_name: the cluster; another cluster's file is ignored.
        path: the file; by default `CONFIG_FILE`.

    Attributes:
        ray_limits: Ray's own limits in the file as last read.
        is_other_recipe: whether the last news change more than limits, so that a launch may succeed that failed before.
    """

    def __init__(self, cluster_name: str, path: Path | None = None) -> None:
        self._cluster_name = cluster_name
        self._file = ChangedFile(path or Path(CONFIG_FILE).expanduser())
        self._recipe: str | None = None
        self.is_other_recipe = False
        self.ray_limits = RayLimits()

    def changed_settings(self) -> ProviderSettings | None:
        """The `provider` section if the file changed since the last call. An unchanged file costs one `stat`."""
        try:
            if not self._file.has_changed():
                return None
            text = self._file.path.read_text()
            config = json.loads(text) if text.startswith("{") else yaml.safe_load(text)
            if config["cluster_name"] != self._cluster_name:
                return None
            return self._accept(config)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, yaml.YAMLError, RayDogError) as error:
            logger.warning("cannot use %s; the previous settings stay in force: %s", self._file.path, error)
            return None

    def _accept(self, config: dict[str, Any]) -> ProviderSettings:
        settings, recipe = parse_provider(config["provider"], str(self._file.path)), _recipe(config)
        self.is_other_recipe = self._recipe not in (None, recipe)
        self._recipe = recipe
        self.ray_limits = _ray_limits(config)
        return settings


def _ray_limits(config: dict[str, Any]) -> RayLimits:
    types = config.get("available_node_types", {})
    minimum = {name: int(kind["min_workers"]) for name, kind in types.items() if kind.get("min_workers")}
    idle = config.get("idle_timeout_minutes")
    labels = {
        name: {str(key): str(value) for key, value in (kind.get("labels") or {}).items()}
        for name, kind in types.items()
    }
    return RayLimits(minimum, max(0.0, float(idle)) if isinstance(idle, (int, float)) else None, labels)


def _recipe(config: dict[str, Any]) -> str:
    """The settings on which launches depend: the configuration without limits and without RayDog's derived values."""
    provider = {key: value for key, value in config["provider"].items() if key != INTERNAL_KEY}
    types = {name: _without_limits(kind) for name, kind in config.get("available_node_types", {}).items()}
    rest = _without_limits({**config, "provider": provider, "available_node_types": types})
    return json.dumps(rest, sort_keys=True, default=str)


def _without_limits(section: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key not in _LIMITS}
