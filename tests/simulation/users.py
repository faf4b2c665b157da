"""Users of a simulated cluster beside its load: drivers, actors and placement groups without one, SSH sessions.

`FakeGcs` reports them. `used_at` is what the checks of an idle cluster's end compare with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from ray.exceptions import RpcError

DRIVER, ACTOR, SESSION = "driver", "actor", "SSH session"
VISITS = (DRIVER, DRIVER, ACTOR, SESSION)
"""The kinds of use that begin and end. A Ray Client and a submitted job are drivers; Ray Serve runs as actors."""

_INTERNAL = SimpleNamespace(
    job_id=b"\xff", is_dead=False, config=SimpleNamespace(ray_namespace="_ray_internal_dashboard"), entrypoint="ray"
)
_STATISTICS = SimpleNamespace(
    name="datasets_stats_actor",
    class_name="_StatsActor",
    ray_namespace="_dataset_stats_actor",
    address=SimpleNamespace(node_id=b""),
)


@dataclass
class Users:
    """The users of one cluster.

    Attributes:
        seconds: returns the time.
        used_at: when somebody last came, or went, or was there, or Ray did not answer a request.
        silent: whether Ray answers nothing.
    """

    seconds: Callable[[], float]
    used_at: float = 0.0
    silent: bool = False
    _present: dict[str, str] = field(default_factory=dict)
    _jobs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.used_at = self.seconds()

    def come(self, name: str, kind: str) -> None:
        """Let somebody begin to use the cluster."""
        self._present[name] = kind
        if kind == SESSION:
            return  # a session of seconds, between two readings, leaves no trace
        self._jobs.append(name)  # a driver creates a detached actor, and ends
        self.used_at = self.seconds()

    def leave(self, name: str) -> None:
        """Let a use end, if it has begun on this cluster."""
        if self._present.pop(name, SESSION) != SESSION:
            self.used_at = self.seconds()

    def leave_all(self) -> None:
        """Let every use end."""
        for name in tuple(self._present):
            self.leave(name)

    @property
    def present(self) -> bool:
        """Whether somebody uses the cluster now."""
        return bool(self._present)

    @property
    def sessions(self) -> int:
        """The SSH sessions on the head."""
        return sum(kind == SESSION for kind in self._present.values())

    def jobs(self) -> dict[bytes, Any]:
        """The table of jobs: those that have ended, those that run, and one of Ray's own."""
        self.answer()
        jobs = [
            _INTERNAL,
            *(_job(number, name, self._present.get(name) == DRIVER) for number, name in enumerate(self._jobs)),
        ]
        return {job.job_id: job for job in jobs}

    def actors(self, state: str) -> dict[bytes, Any]:
        """The detached actors in a state, and one that a library of Ray has left."""
        self.answer()
        names = [name for name, kind in self._present.items() if kind == ACTOR]
        return {name.encode(): _actor(name) for name in names} | {b"": _STATISTICS} if state == "ALIVE" else {}

    def speak(self) -> None:
        """Let Ray answer again."""
        self.silent = False

    def answer(self) -> None:
        """Raise Ray's error if it answers nothing."""
        if self.silent:
            self.used_at = self.seconds()
            raise RpcError("no answer")


def _job(number: int, name: str, is_alive: bool) -> SimpleNamespace:
    config = SimpleNamespace(ray_namespace="users")
    return SimpleNamespace(job_id=bytes([number]), is_dead=not is_alive, config=config, entrypoint=name)


def _actor(name: str) -> SimpleNamespace:
    address = SimpleNamespace(node_id=b"")
    return SimpleNamespace(name=name, class_name="Actor", ray_namespace="users", address=address)
