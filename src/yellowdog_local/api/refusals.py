"""The HTTP status and the errorType of a refusal, where settings may change them. No routes."""

from __future__ import annotations

from yellowdog_local.errors import (
    AlreadyExists,
    ApiError,
    DuplicateTaskNames,
    InvalidComputeStatus,
    InvalidRequest,
    InvalidWorkStatus,
    NotFound,
)
from yellowdog_local.state.settings import Settings


def status_and_type(error: ApiError, settings: Settings) -> tuple[int, str]:
    """The HTTP status and the errorType of the answer to a refused call."""
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
