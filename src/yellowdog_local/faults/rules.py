"""The rules of faults, one model for each kind: the effect, what it matches, how often it applies. Data only."""

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
    """The rule is invalid; the message says why."""


class _Rule(BaseModel):
    """Common to all rules: to which of the matching calls, machines or tasks they apply."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    nth: int | None = Field(default=None, ge=1)
    """Apply to the n-th match, counted from 1 since the rule was added."""

    times: int | None = Field(default=None, ge=1)
    """Apply at most this often; by default once if `nth` is given, without limit otherwise."""

    probability: float | None = Field(default=None, gt=0, le=1)
    """Apply to each match with this probability."""

    seed: int = 0
    """Seed of the random choice; the same seed chooses the same matches."""

    @property
    def most(self) -> int | None:
        """How often it may be applied; None for no limit."""
        return 1 if self.times is None and self.nth is not None else self.times


class _CallRule(_Rule):
    call: str = "*"
    """Calls to match: a method and a path, for example `POST /work/taskGroups/*/tasks`."""

    @field_validator("call")
    @classmethod
    def _is_pattern(cls, value: str) -> str:
        pattern(value)
        return value

    def matches_call(self, method: str, path: str, route: str) -> bool:
        """Whether the rule matches a call."""
        return pattern(self.call).matches(method, path, route)


class _MachineRule(_Rule):
    pool: str = "*"
    """Worker pools (or compute requirements) to match, by name; `*` is any text and `?` any character."""

    source: str = "*"
    """Compute sources to match, by name; likewise."""

    def matches_machine(self, pool: str, source: str) -> bool:
        """Whether the rule matches a machine."""
        return fnmatchcase(pool, self.pool) and fnmatchcase(source, self.source)


class _TaskRule(_MachineRule):
    task: str = "*"
    """Tasks to match, by name."""

    def matches_task(self, pool: str, source: str, name: str) -> bool:
        """Whether the rule matches a task on a machine."""
        return self.matches_machine(pool, source) and fnmatchcase(name, self.task)


# -- calls ------------------------------------------------------------------------------------------------------------


class Status(_CallRule):
    """The call is not served; the given status is returned."""

    kind: Literal["status"] = "status"

    status: int = Field(default=503, ge=400, le=599)
    """The HTTP status."""

    error_type: str | None = None
    """The platform's `errorType`; without it the answer is that of a gateway."""

    message: str = "injected fault"
    """The message of the error."""

    retry_after_seconds: int | None = Field(default=None, ge=0)
    """The header Retry-After (seconds)."""


class ApplyThenFail(Status):
    """The call is served, but an error is returned."""

    kind: Literal["apply-then-fail"] = "apply-then-fail"  # type: ignore[assignment]

    status: int = Field(default=500, ge=400, le=599)
    """The HTTP status."""


class Hang(_CallRule):
    """The call is not answered until the rule is removed; then it is served."""

    kind: Literal["hang"] = "hang"

    applied: bool = False
    """Serve the call at once, but hold back its answer."""


class Cut(_CallRule):
    """The call is served, and the connection is closed within the answer."""

    kind: Literal["cut"] = "cut"


class Delay(_CallRule):
    """The call is served after a delay in real time, whatever the platform's clock."""

    kind: Literal["delay"] = "delay"

    seconds: float = Field(gt=0)
    """The delay (seconds)."""


class Drip(_CallRule):
    """The call is served, and its answer sent byte by byte, in real time."""

    kind: Literal["drip"] = "drip"

    seconds: float = Field(default=1.0, gt=0)
    """Delay between two bytes (seconds)."""


class KeyRevoked(_Rule):
    """The API key is invalid: every call returns 401 until the rule is removed."""

    kind: Literal["key-revoked"] = "key-revoked"


class ListingLag(_CallRule):
    """Lists omit what was created in the last `seconds` seconds. Changes of older entities are shown."""

    kind: Literal["listing-lag"] = "listing-lag"

    seconds: float = Field(gt=0)
    """Time during which new entities are not listed (seconds)."""


# -- machines ---------------------------------------------------------------------------------------------------------


class NeverBoots(_MachineRule):
    """The instance is accepted and stays PENDING, without a host."""

    kind: Literal["never-boots"] = "never-boots"


class NeverRegisters(_MachineRule):
    """The instance boots, but its agent is never registered as a platform node."""

    kind: Literal["never-registers"] = "never-registers"


class Lost(_MachineRule):
    """The instance of a platform node ends unexpectedly. Applies to running nodes too, oldest first."""

    kind: Literal["lost"] = "lost"

    after_seconds: float = Field(default=0.0, ge=0)
    """Time from the platform node's registration, or the rule's addition if later, to the loss or notice (seconds)."""

    notice: bool = False
    """Give a spot notice first: the platform node has a preemptionWarningTime and, by default, gets no new tasks."""

    notice_seconds: float | None = Field(default=None, ge=0)
    """Time from the notice to the loss (seconds); by default the setting `preemption_notice_seconds`."""


class TaskExits(_TaskRule):
    """The task ends as soon as it starts, without running."""

    kind: Literal["task-exits"] = "task-exits"

    exit_code: int = 1
    """The exit code."""


class AbortLost(_TaskRule):
    """The abort or timeout of a task is accepted and shown, but never reaches the agent."""

    kind: Literal["abort-lost"] = "abort-lost"


class Capacity(_MachineRule):
    """The cloud of a source has no capacity; the source is ERRORED with the cloud's message."""

    kind: Literal["capacity"] = "capacity"

    limit: int = Field(default=0, ge=0)
    """Maximum number of instances of all sources of one name; existing instances stay."""

    message: str = OUT_OF_CAPACITY
    """The cloud's message; may use {instance_type}, {region}, {granted} and {asked}."""

    @field_validator("message")
    @classmethod
    def _is_format(cls, value: str) -> str:
        try:
            value.format(instance_type="", region="", granted=0, asked=0)
        except (KeyError, IndexError, AttributeError) as error:
            raise ValueError(
                f"message may use {{instance_type}}, {{region}}, {{granted}} and {{asked}} only, not {error}"
            ) from error
        return value


CallFault = Status | ApplyThenFail | Hang | Cut | Delay | Drip | KeyRevoked
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
    "drip": Drip,
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
        InvalidRule: it describes no valid rule.
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
