"""The SDK's exceptions, and those of the HTTP client below it, turned into ours. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import requests
from cattrs.errors import BaseValidationError
from yellowdog_client.model.exceptions import (
    BaseCustomException,
    InternalServerException,
    NotAuthorisedException,
)

from yellowdog_ray.errors import (
    AlreadyExists,
    NotAuthorised,
    NotFound,
    PlatformError,
    Refused,
    Throttled,
    Unavailable,
)
from yellowdog_ray.node.variables import API_KEY_ID, API_KEY_SECRET, API_URL

_HTTP_ERRORS: dict[int, type[PlatformError]] = {
    403: Refused,
    404: NotFound,
    409: AlreadyExists,
    429: Throttled,
}
_UNAUTHORISED = 401
_SERVER_ERROR = 500
_TAKEN = ("already exists", "must be unique")


@contextmanager
def sdk_errors(what: str) -> Iterator[None]:
    """Turn the SDK's exceptions into ours; `what` names the thing in their text."""
    try:
        yield
    except NotAuthorisedException as error:
        raise _unauthorised(what, error.message) from error
    except InternalServerException as error:
        raise Unavailable(f"YellowDog failed ({what}): {error.message}") from error
    except BaseCustomException as error:
        raise _refusal(what, str(error)) from error
    except requests.HTTPError as error:
        raise _http_failure(what, error) from error
    except requests.RequestException as error:
        url = error.request.url if error.request is not None else ""
        raise Unavailable(
            f"no answer from YellowDog ({what}; {type(error).__name__} at {url}): check the network, and {API_URL}"
        ) from error
    except (BaseValidationError, ValueError, TypeError, AttributeError) as error:
        # The last two are what the SDK, or a view, makes of JSON of another shape.
        raise Unavailable(
            f"what answers at {API_URL} does not speak as YellowDog does ({what}: {type(error).__name__})"
        ) from error


def _unauthorised(what: str, text: object) -> NotAuthorised:
    return NotAuthorised(
        f"YellowDog does not accept this API key ({what}: {text}): check {API_KEY_ID} and {API_KEY_SECRET}, that "
        f"{API_URL} is the platform they are for, and what their application may do"
    )


def _refusal(what: str, text: str) -> PlatformError:
    taken = any(phrase in text for phrase in _TAKEN)
    return AlreadyExists(f"{what}: {text}") if taken else Refused(f"YellowDog declined ({what}): {text}")


def _http_failure(what: str, error: requests.HTTPError) -> PlatformError:
    status = error.response.status_code if error.response is not None else 500
    text = str(error)
    if any(phrase in text for phrase in _TAKEN):
        return AlreadyExists(f"{what}: {text}")
    if status == _UNAUTHORISED or "MissingPermission" in text:
        return _unauthorised(what, f"HTTP {status}")
    kind = _HTTP_ERRORS.get(status, Unavailable if status >= _SERVER_ERROR else Refused)
    return kind(f"{what}: {text}")
