"""The faults that may be asked for, one model each: what strikes, whom, and how often. Pure; makes nothing happen."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from yellowdog_local.call_patterns import pattern

OUT_OF_CAPACITY = (
    "InsufficientInstanceCapacity: We currently do not have sufficient {instance_type} capacity in the region you "
    "requested ({region}). Our system will be working on provisioning additional capacity. "
    "({granted} of {asked} instances granted)"
)


class InvalidRule(ValueError):
    """A fault was asked for that does not exist in this form; the message says what is wrong with it."""


class _Rule(BaseModel):
    """What all rules have in common: which of the matching calls, machines or tasks are struck."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    nth: int | None = Field(default=None, ge=1)
    """Spare all that match before the n-th, counted from 1 and from when the rule was added."""

    times: int | None = Field(default=None, ge=1)
    """Strike at most so often; without it once if `nth` is given, and otherwise always."""

    probability: float | None = Field(default=None, gt=0, le=1)
    """Strike each that matches with this probability."""

    seed: int = 0
    """Seed of the probability: the same seed strikes the same ones."""

    @property
    def most(self) -> int | None:
        """How often it may strike, or None for always."""
        return 1 if self.times is None and self.nth is not None else self.times


class _CallRule(_Rule):
    call: str = "*"
    """Which calls: a method and a path, for example `POST /work/taskGroups/*/tasks`."""

    @field_validator("call")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        pattern(value)
        return value

    def concerns_call(self, method: str, path: str, route: str) -> bool:
        """Whether a call is meant."""
        return pattern(self.call).matches(method, path, route)


class _MachineRule(_Rule):
    pool: str = "*"
    """Which worker pools (or compute requirements), by name; `*` and `?` stand for any text and character."""

    source: str = "*"
    """Which compute sources, by name; likewise."""

    def concerns_machine(self, pool: str, source: str) -> bool:
        """Whether a machine is meant."""
        return fnmatchcase(pool, self.pool) and fnmatchcase(source, self.source)


# -- calls ------------------------------------------------------------------------------------------------------------


class Status(_CallRule):
    """The call is not served; this is answered instead."""

    kind: Literal["status"] = "status"

    status: int = Field(default=503, ge=400, le=599)
    """The HTTP status."""

    error_type: str | None = None
    """The platform's name for the error; without it the answer looks like a gateway's, not like the platform's."""

    message: str = "a fault was asked for"
    """What the answer says."""

    retry_after_seconds: int | None = Field(default=None, ge=0)
    """The header Retry-After (seconds)."""


class ApplyThenFail(Status):
    """The call is served, and the caller is told that it failed."""

    kind: Literal["apply-then-fail"] = "apply-then-fail"  # type: ignore[assignment]

    status: int = Field(default=500, ge=400, le=599)
    """The HTTP status."""


class Hang(_CallRule):
    """The call is not answered, until the rule is removed; then it is served as if nothing had been."""

    kind: Literal["hang"] = "hang"

    applied: bool = False
    """Serve the call at once, and hold back only its answer."""


class Cut(_CallRule):
    """The call is served, and the connection closed in the middle of the answer."""

    kind: Literal["cut"] = "cut"


class Delay(_CallRule):
    """The call is served later. The time is real even where the platform's clock is stepped."""

    kind: Literal["delay"] = "delay"

    seconds: float = Field(gt=0)
    """How much later (seconds)."""


class KeyRevoked(_Rule):
    """The application key is no longer valid: every call is answered 401, until the rule is removed."""

    kind: Literal["key-revoked"] = "key-revoked"


class ListingLag(_CallRule):
    """Lists do not show what was made in the last seconds. What has merely changed is shown as it is."""

    kind: Literal["listing-lag"] = "listing-lag"

    seconds: float = Field(gt=0)
    """How long something new is not listed (seconds)."""


# -- machines ---------------------------------------------------------------------------------------------------------


class NeverBoots(_MachineRule):
    """The instance is accepted and stays PENDING; there is no machine behind it."""

    kind: Literal["never-boots"] = "never-boots"


class NeverRegisters(_MachineRule):
    """The instance boots, but its agent is never accepted as a platform node."""

    kind: Literal["never-registers"] = "never-registers"


class Lost(_MachineRule):
    """The instance of a platform node dies by itself. Nodes that run already are meant too, the oldest first."""

    kind: Literal["lost"] = "lost"

    after_seconds: float = Field(default=0.0, ge=0)
    """Time from the node's registration (or the rule's addition, if later) to its loss, or to the notice of it."""

    notice: bool = False
    """Warn first: the node gets a preemptionWarningTime and, by default, no new tasks."""

    notice_seconds: float | None = Field(default=None, ge=0)
    """Time from the warning to the loss; without it, what the settings say (seconds)."""


class TaskExits(_MachineRule):
    """The task ends as soon as it has started, without having run."""

    kind: Literal["task-exits"] = "task-exits"

    task: str = "*"
    """Which tasks, by name."""

    exit_code: int = 1
    """With which exit code."""

    def concerns_task(self, pool: str, source: str, name: str) -> bool:
        """Whether a task on a machine is meant."""
        return self.concerns_machine(pool, source) and fnmatchcase(name, self.task)


class AbortLost(_MachineRule):
    """The abort of a task (or its timeout) is accepted and shown, but never reaches the agent."""

    kind: Literal["abort-lost"] = "abort-lost"

    task: str = "*"
    """Which tasks, by name."""

    def concerns_task(self, pool: str, source: str, name: str) -> bool:
        """Whether a task on a machine is meant."""
        return self.concerns_machine(pool, source) and fnmatchcase(name, self.task)


class Capacity(_MachineRule):
    """The cloud behind a source has no more machines; the source is ERRORED with the cloud's words."""

    kind: Literal["capacity"] = "capacity"

    limit: int = Field(default=0, ge=0)
    """How many instances of sources of one name there can be at once; those that there are already stay."""

    message: str = OUT_OF_CAPACITY
    """What the cloud says; may use {instance_type}, {region}, {granted} and {asked}."""

    @field_validator("message")
    @classmethod
    def _is_format(cls, value: str) -> str:
        try:
            value.format(instance_type="", region="", granted=0, asked=0)
        except (KeyError, IndexError, AttributeError) as error:
            raise ValueError(f"message may only use the names that are listed, not {error}") from error
        return value


CallFault = Status | ApplyThenFail | Hang | Cut | Delay | KeyRevoked
MachineFault = NeverBoots | NeverRegisters | Lost | TaskExits | AbortLost | Capacity
Rule = CallFault | ListingLag | MachineFault
R = TypeVar("R", bound=_Rule)

_RULES: TypeAdapter[Rule] = TypeAdapter(Annotated[Rule, Field(discriminator="kind")])
KINDS: dict[str, type[_Rule]] = {
    "status": Status,
    "apply-then-fail": ApplyThenFail,
    "hang": Hang,
    "cut": Cut,
    "delay": Delay,
    "key-revoked": KeyRevoked,
    "listing-lag": ListingLag,
    "never-boots": NeverBoots,
    "never-registers": NeverRegisters,
    "lost": Lost,
    "task-exits": TaskExits,
    "abort-lost": AbortLost,
    "capacity": Capacity,
}


def parse(value: Any) -> Rule:
    """The rule that a JSON object describes.

    Raises:
        InvalidRule: it describes none.
    """
    kind = value.get("kind") if isinstance(value, dict) else None
    if kind not in KINDS:
        raise InvalidRule(f"kind must be one of {', '.join(KINDS)}, not {kind!r}")
    try:
        return _RULES.validate_python(value)
    except ValidationError as error:
        raise InvalidRule("; ".join(_sentence(str(kind), wrong) for wrong in error.errors())) from error


def _sentence(kind: str, wrong: Any) -> str:
    field = str(wrong["loc"][-1])
    if wrong["type"] == "extra_forbidden":
        takes = [name for name in KINDS[kind].model_fields if name != "kind"]
        return f"'{kind}' has no {field}; it takes {', '.join(takes)}"
    return f"{field}: {wrong['msg'].removeprefix('Value error, ')}"
