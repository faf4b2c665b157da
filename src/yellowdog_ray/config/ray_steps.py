"""The configuration between Ray's steps: Ray's own checks come between the one that finds mistakes and `bootstrap`.

Ray ends every command with a traceback at a mistake, `ray down` too. So the first step takes the mistakes out, and
leaves them under `provider` for `bootstrap`, which refuses those that concern the command. No I/O, no state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from yellowdog_ray.config.mistakes import Mistake
from yellowdog_ray.config.models import MISTAKES_KEY
from yellowdog_ray.config.ray_keys import ray_mistakes

_EMPTY_LISTS = (
    "cluster_synced_files",
    "head_setup_commands",
    "head_start_ray_commands",
    "initialization_commands",
    "setup_commands",
    "worker_setup_commands",
    "worker_start_ray_commands",
)
_COPIES = {"setup_commands": ("head_setup_commands", "worker_setup_commands")}
"""Keys before whose values Ray puts those of another key."""

_EMPTY_MAPPINGS = ("auth", "file_mounts")
_NO_NODE_TYPES: Mapping[str, Any] = {
    "available_node_types": {"none": {"resources": {}, "node_config": {}}},
    "head_node_type": "none",
    "max_workers": 0,
}


def completed(config: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration with the empty keys without which Ray fails."""
    return {
        **{key: [] for key in _EMPTY_LISTS},
        **{key: {} for key in _EMPTY_MAPPINGS},
        **config,
    }


def accepted_by_ray(config: Mapping[str, Any], mistakes: Sequence[Mistake]) -> dict[str, Any]:
    """The configuration without what is wrong, so that Ray passes it on; the mistakes are under `provider`."""
    result = without_mistakes(config, mistakes)
    stated = [{"place": list(mistake.place), "text": mistake.text} for mistake in mistakes]
    return {**result, "provider": {**result["provider"], MISTAKES_KEY: stated}}


def without_mistakes(config: Mapping[str, Any], mistakes: Sequence[Mistake]) -> dict[str, Any]:
    """The configuration with each wrong key of the top level, or of `provider`, removed or empty."""
    result = dict(config)
    provider = dict(result["provider"])
    for mistake in mistakes:
        key = str(mistake.place[0])
        if key in _NO_NODE_TYPES:
            result.update(_NO_NODE_TYPES)
        elif key == "provider":
            provider.pop(str(mistake.place[1]), None)
        elif key == "cluster_name":
            result[key] = str(result.get(key, ""))
        else:
            wrong = (key, *_COPIES.get(key, ()))
            result = {name: value for name, value in result.items() if str(name) not in wrong}
    return completed({**result, "provider": provider})


def take_mistakes(config: dict[str, Any]) -> list[Mistake]:
    """The mistakes that `accepted_by_ray` has left, or else those that are found now. Removes them from `config`."""
    left = config["provider"].pop(MISTAKES_KEY, None)
    if left is None:
        return ray_mistakes(config)
    return [Mistake(tuple(part["place"]), part["text"]) for part in left]
