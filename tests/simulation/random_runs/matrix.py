"""Every setting of the platform with each of its other values, and random pairs of them. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from yellowdog_local.state.profiles import changed
from yellowdog_local.state.settings import Settings

OTHERS: dict[str, tuple[Any, ...]] = {
    # A platform on which an agent is silent for longer than the platform waits loses every node.
    "heartbeat_period_seconds": (1, 25),
    "heartbeat_late_seconds": (11, 300),
    "heartbeat_lost_seconds": (31, 600),
    "instance_death_noticed_seconds": (9, 300),
    "allocation_latency_seconds": (1, 10),
    "retry_delay_seconds": (1, 10),
    "default_slice_size": (1, 10, 1000),
    "default_min_nodes": (1,),
    "default_max_nodes": (1, 100),
    "default_workers_per_node": (10,),
    "max_nodes_limit": (1, 1000),
    "max_instances": (3, 1000, 100_000),
    "max_tasks_per_call": (2, 1000, 100_000),
    "max_task_data_bytes": (65_536,),
    "max_environment_bytes": (16_384,),
    "max_arguments_bytes": (4_096,),
    "max_user_data_bytes": (16_384,),
    "retention_seconds": (0, 6, 60, 600),
    "abort_end_state": ("FAILED",),
    "default_namespace": ("other",),
    "task_environment": ({"HOME": "/home/ubuntu", "USER": "ubuntu"},),
    "task_umask": (0o077,),
    "event_name": ("changed",),
    "recorded_calls": (1,),
    "not_found_error_type": ("EntityNotFoundException",),
    "invalid_request_status": (409, 422),
    "duplicate_status": (409, 422),
    "duplicate_error_type": ("ConflictException",),
    "duplicate_task_names_error_type": ("InvalidRequestException",),
    "illegal_transition_status": (400, 409),
    "instance_id_prefix": ("vm-",),
    "simulator_provider": ("AWS",),
    "random_seed": (1,),
    "account_name": ("acme",),
}
"""The other values of settings that are neither a switch nor a number of which a tenth and ten times make sense."""


@dataclass(frozen=True)
class Case:
    """Changed settings, by name; the others have their defaults."""

    changes: tuple[tuple[str, Any], ...]

    @property
    def settings(self) -> Settings:
        """The platform's settings."""
        return Settings.model_validate(dict(self.changes))

    def __str__(self) -> str:
        return " ".join(changed(self.settings))


def single_changes() -> list[Case]:
    """One case for each other value of each setting."""
    return [Case(((name, value),)) for name in Settings.model_fields for value in alternatives(name)]


def pairs(seed: int, count: int) -> Iterator[Case]:
    """Random pairs of changed settings."""
    chance = random.Random(f"raydog pairs {seed}")
    for _ in range(count):
        first, second = chance.sample(sorted(Settings.model_fields), 2)
        yield Case(tuple((name, chance.choice(alternatives(name))) for name in (first, second)))


def alternatives(name: str) -> tuple[Any, ...]:
    """The other values of a setting: those of `OTHERS`; the other side of a switch; a tenth, ten times, and zero.

    Empty for a setting of which none is known.
    """
    default = Settings.model_fields[name].default
    if name in OTHERS:
        return OTHERS[name]
    if isinstance(default, bool):
        return (not default,)
    if isinstance(default, float) and default > 0:
        zero = () if any(hasattr(limit, "gt") for limit in Settings.model_fields[name].metadata) else (0.0,)
        return (*zero, default / 10, default * 10)
    return ()
