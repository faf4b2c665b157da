"""Every reason for which the platform refuses a call. Imports nothing of the platform.

HTTP statuses and types that the real platform does not document are settings: see `api/refusals.py`.

ApiError
├── InvalidRequest             400 InvalidRequestException
│   └── AlreadyExists          400 InvalidRequestException, "... already exists"
├── NoSources                  400 NoSourcesException: clients search its text for "No sources"
├── DuplicateTaskNames         400 ConflictException: clients search for its text
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


class ApiError(Exception):
    """A call that is refused.

    Attributes:
        status: the HTTP status.
        error_type: the platform's name for this kind of error; the SDK has its own exceptions for some of them.
        message: the reason, for the caller.
    """

    status: ClassVar[int] = 400
    error_type: ClassVar[str] = "InvalidRequestException"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRequest(ApiError):
    """You sent a request that is never accepted in this form."""


class AlreadyExists(InvalidRequest):
    """You gave a name that is taken by something unfinished."""

    def __init__(self, what: str, namespace: str, name: str) -> None:
        super().__init__(f"{what} '{name}' in namespace '{namespace}' already exists")


class NoSources(ApiError):
    """You used a dynamic template that too few compute sources match."""

    error_type = "NoSourcesException"

    def __init__(self, template: str, fitting: int, wanted: int | None) -> None:
        enough = f": {fitting} do, and minimumSourceCount is {wanted}" if fitting else ""
        super().__init__(f"No sources meet the constraints of template '{template}'{enough}")


class DuplicateTaskNames(ApiError):
    """You gave two tasks of a task group the same name."""

    error_type = "ConflictException"

    def __init__(self) -> None:
        super().__init__("Task names must be unique within task group")


class Conflict(ApiError):
    """You sent a request that conflicts with an existing entity."""

    status = 409
    error_type = "ConflictException"


class Unauthorized(ApiError):
    """You sent no key or a wrong one."""

    status = 401
    error_type = "UnauthorizedException"


class NotFound(ApiError):
    """You requested an entity that does not exist."""

    status = 404
    error_type = "NotFoundException"

    def __init__(self, what: str, which: str) -> None:
        super().__init__(f"{what} '{which}' not found")


class InvalidOperation(ApiError):
    """You requested an operation that the entity's status does not allow."""

    error_type = "InvalidOperationException"


class InvalidWorkStatus(ApiError):
    """You requested a change that the work requirement's status does not allow."""

    status = 403
    error_type = "InvalidWorkRequirementStatusException"


class InvalidComputeStatus(ApiError):
    """You requested a change that the compute requirement's status does not allow."""

    status = 403
    error_type = "InvalidComputeRequirementStatusException"


class Gone(ApiError):
    """You are the agent of a platform node that has ended."""

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
    """You used a feature that the local platform does not implement; the real one may."""

    status = 422
    error_type = "NotCoveredException"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is not covered by the local platform")


def check_size(what: str, texts: Iterable[str], limit: int | None) -> None:
    """Refuse texts whose total size in UTF-8 exceeds a limit (bytes; None for no limit).

    Raises:
        InvalidRequest: they exceed it.
    """
    if limit is None:
        return
    size = sum(len(text.encode()) for text in texts)
    if size > limit:
        raise InvalidRequest(f"{what} must not be more than {limit} bytes, and is {size}")
