"""Everything a call to the platform can be refused with, and how it looks on the wire.

What is not known of the real platform's statuses and types is a setting: see `on_the_wire`.

ApiError
├── InvalidRequest             400 InvalidRequestException
│   └── AlreadyExists          400 InvalidRequestException, "... already exists"
├── NoSources                  400 NoSourcesException: clients look for "No sources" in its text
├── DuplicateTaskNames         400 ConflictException: clients look for its text
├── Conflict                   409 ConflictException
├── Unauthorized               401 UnauthorizedException
├── NotFound                   404 NotFoundException: never a type that the SDK turns into its own exception
├── InvalidOperation           400 InvalidOperationException
├── InvalidWorkStatus          403 InvalidWorkRequirementStatusException
├── InvalidComputeStatus       403 InvalidComputeRequirementStatusException
├── Gone                       410 GoneException: agents only
├── BodyTooLarge               413 PayloadTooLargeException
├── BodyTimeout                408 RequestTimeoutException
└── NotCovered                 422 NotCoveredException: the real platform may do it, this one does not
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from yellowdog_local.state.settings import Settings


class ApiError(Exception):
    """A call that is refused.

    Attributes:
        status: the HTTP status.
        error_type: the platform's name for this kind of error; the SDK turns some of them into its own exceptions.
        message: what the caller did, in words.
    """

    status: ClassVar[int] = 400
    error_type: ClassVar[str] = "InvalidRequestException"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRequest(ApiError):
    """You sent something that can never be accepted as it is."""


class AlreadyExists(InvalidRequest):
    """You gave a name that something unfinished has."""

    def __init__(self, what: str, namespace: str, name: str) -> None:
        super().__init__(f"{what} '{name}' in namespace '{namespace}' already exists")


class NoSources(ApiError):
    """You asked for a dynamic template that too few compute sources fit."""

    error_type = "NoSourcesException"

    def __init__(self, template: str, fitting: int, wanted: int | None) -> None:
        enough = f": {fitting} do, and minimumSourceCount is {wanted}" if fitting else ""
        super().__init__(f"No sources meet the constraints of template '{template}'{enough}")


class DuplicateTaskNames(ApiError):
    """You named two tasks of one task group alike."""

    error_type = "ConflictException"

    def __init__(self) -> None:
        super().__init__("Task names must be unique within task group")


class Conflict(ApiError):
    """What you asked for contradicts what exists."""

    status = 409
    error_type = "ConflictException"


class Unauthorized(ApiError):
    """You showed no key, or not the right one."""

    status = 401
    error_type = "UnauthorizedException"


class NotFound(ApiError):
    """You asked for something that does not exist."""

    status = 404
    error_type = "NotFoundException"

    def __init__(self, what: str, which: str) -> None:
        super().__init__(f"{what} '{which}' not found")


class InvalidOperation(ApiError):
    """You asked for something that cannot be done to what is in this state."""

    error_type = "InvalidOperationException"


class InvalidWorkStatus(ApiError):
    """You asked a work requirement for a change that its status does not allow."""

    status = 403
    error_type = "InvalidWorkRequirementStatusException"


class InvalidComputeStatus(ApiError):
    """You asked a compute requirement for a change that its status does not allow."""

    status = 403
    error_type = "InvalidComputeRequirementStatusException"


class Gone(ApiError):
    """You are the agent of a platform node that the platform has ended."""

    status = 410
    error_type = "GoneException"


class BodyTooLarge(ApiError):
    """You sent a body larger than the platform reads."""

    status = 413
    error_type = "PayloadTooLargeException"

    def __init__(self, max_bytes: int) -> None:
        super().__init__(f"the request body is larger than {max_bytes} bytes, as sent or decompressed")


class BodyTimeout(ApiError):
    """You sent a body more slowly than the platform waits."""

    status = 408
    error_type = "RequestTimeoutException"

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the request body was not complete after {seconds:g} s")


class NotCovered(ApiError):
    """You asked for something that this local platform does not do, whatever the real one does."""

    status = 422
    error_type = "NotCoveredException"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not covered by the local platform")


def on_the_wire(error: ApiError, settings: Settings) -> tuple[int, str]:
    """The HTTP status and the errorType with which a refusal is answered."""
    if isinstance(error, NotFound):
        return error.status, settings.not_found_error_type
    if isinstance(error, AlreadyExists):
        return settings.duplicate_status, settings.duplicate_error_type
    if isinstance(error, DuplicateTaskNames):
        return settings.duplicate_status, settings.duplicate_task_names_error_type
    if isinstance(error, InvalidRequest):
        return settings.invalid_request_status, error.error_type
    if isinstance(error, InvalidWorkStatus | InvalidComputeStatus):
        return settings.illegal_transition_status, error.error_type
    return error.status, error.error_type


def check_size(what: str, texts: Iterable[str], limit: int | None) -> None:
    """Refuse texts that are together more than so many bytes in UTF-8.

    Raises:
        InvalidRequest: they are.
    """
    if limit is None:
        return
    size = sum(len(text.encode()) for text in texts)
    if size > limit:
        raise InvalidRequest(f"{what} must not be more than {limit} bytes, and is {size}")
