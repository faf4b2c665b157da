"""Everything a call to the platform can be refused with, and how it looks on the wire.

ApiError
├── InvalidRequest             400 InvalidRequestException
│   └── AlreadyExists          400 InvalidRequestException, "... already exists"
├── DuplicateTaskNames         400 ConflictException: clients look for its text
├── Conflict                   409 ConflictException
├── Unauthorized               401 UnauthorizedException
├── NotFound                   404 NotFoundException: never a type that the SDK turns into its own exception
├── InvalidWorkStatus          403 InvalidWorkRequirementStatusException
├── InvalidComputeStatus       403 InvalidComputeRequirementStatusException
├── Gone                       410 GoneException: agents only
└── NotCovered                 422 NotCoveredException: the real platform may do it, this one does not
"""

from __future__ import annotations

from typing import ClassVar


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


class NotCovered(ApiError):
    """You asked for something that this local platform does not do, whatever the real one does."""

    status = 422
    error_type = "NotCoveredException"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not covered by the local platform")
