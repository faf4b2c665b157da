"""Translates the exceptions of the SDK, and of the HTTP client below it, into ours. Decides nothing.

A mistake of ours is not translated: only SDK code runs inside `sdk_errors`, and only its exceptions after a response
has arrived become `MalformedResponse`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import requests
from cattrs.errors import BaseValidationError
from yellowdog_client.model.exceptions import (
    BaseCustomException,
    InternalServerException,
    NotAuthorisedException,
)

from yellowdog_ray.budget import TooLarge
from yellowdog_ray.errors import (
    AlreadyExists,
    MalformedResponse,
    NotAuthorised,
    NotFound,
    PlatformError,
    Refused,
    Throttled,
    Unavailable,
)
from yellowdog_ray.node.variables import API_KEY_ID, API_KEY_SECRET, API_URL
from yellowdog_ray.platform.responses import Responses

_HTTP_ERRORS: dict[int, type[PlatformError]] = {
    403: Refused,
    404: NotFound,
    409: AlreadyExists,
    429: Throttled,
}
_UNAUTHORISED = 401
_SERVER_ERROR = 500
_INVALID_HEADER = "Invalid header value"  # http.client's ValueError
_NO_VALUE = re.compile(r"'[^']{1,100}' is not a valid \w+")
"""Text of the ValueError of an enumeration without this value."""

_FIELD = re.compile(r"@ attribute (\w+)")
"""The name of a field in the notes of cattrs."""

_TAKEN = ("already exists", "must be unique")


def malformed(subject: str) -> MalformedResponse:
    """The error for a response that is not YellowDog's; `subject` names its defect."""
    return MalformedResponse(f"unexpected response from {API_URL} ({subject}): is it a YellowDog endpoint?")


@contextmanager
def sdk_errors(subject: str, responses: Responses) -> Iterator[None]:
    """Run one SDK call, and nothing else, with its exceptions translated.

    Args:
        subject: names the requested thing in error texts.
        responses: receives this thread's responses.

    Raises:
        PlatformError: the call failed.
        Exception: the call could not be made because of a mistake of ours.
    """
    responses.clear()
    try:
        yield
    except NotAuthorisedException as error:
        raise _unauthorised(subject, error.message) from error
    except InternalServerException as error:
        raise Unavailable(f"YellowDog failed ({subject}): {error.message}") from error
    except BaseCustomException as error:
        raise _refusal(subject, str(error)) from error
    except requests.HTTPError as error:
        raise _http_failure(subject, error) from error
    except (requests.exceptions.InvalidJSONError, requests.exceptions.ContentDecodingError, TooLarge) as error:
        failure = malformed(f"{subject}: {type(error).__name__}")
        failure.may_heal = True
        raise failure from error
    except requests.RequestException as error:
        url = str(error.request.url) if error.request is not None else ""
        proxy = _proxy(url)
        raise Unavailable(
            f"no answer from YellowDog ({subject}; {type(error).__name__} at {url}{proxy and f' through {proxy}'}): "
            f"check the network, {API_URL}{proxy and ', and the proxy'}"
        ) from error
    except (BaseValidationError, ValueError, TypeError, AttributeError) as error:
        # The SDK raises all of these for JSON of another shape.
        if responses.received:
            raise _other_shape(subject, error) from error
        if isinstance(error, UnicodeEncodeError) or _INVALID_HEADER in str(error):
            # Their texts contain the key.
            raise _unauthorised(subject, "the key has characters that no HTTP header may have") from None
        raise


def _other_shape(subject: str, error: BaseException) -> MalformedResponse:
    unknown = _unknown_value(error)
    if unknown is None:
        return malformed(f"{subject}: {type(error).__name__}")
    return MalformedResponse(
        f"unexpected response from {API_URL} ({subject}: {unknown}): the installed yellowdog-sdk does not have this "
        "value: upgrade it"
    )


def _unknown_value(error: BaseException) -> str | None:
    """The first value in a response that an enumeration of the SDK lacks, with the field's name; None without one."""
    parts: Sequence[BaseException] = getattr(error, "exceptions", ())  # of the exception groups of cattrs
    if parts:
        return next((found for each in parts if (found := _unknown_value(each))), None)
    if not isinstance(error, ValueError) or _NO_VALUE.fullmatch(str(error)) is None:
        return None
    notes = " ".join(map(str, getattr(error, "__notes__", ())))
    field = _FIELD.search(notes)
    return f"{field[1]}: {error}" if field else str(error)


def _proxy(url: str) -> str:
    """The proxy that `requests` uses for a URL, with its variable and without a password; empty if there is none."""
    proxy = requests.utils.select_proxy(url, requests.utils.get_environ_proxies(url)) if url else None
    if not proxy:
        return ""
    address = proxy.rpartition("@")[2].rpartition("//")[2]
    scheme = urlsplit(url).scheme.upper()
    names = (f"{scheme}_PROXY", f"{scheme.lower()}_proxy", "ALL_PROXY", "all_proxy")
    name = next((name for name in names if os.environ.get(name) == proxy), "the system's settings")
    return f"the proxy {address} of {name}"


def _unauthorised(subject: str, text: object) -> NotAuthorised:
    return NotAuthorised(
        f"YellowDog does not accept this API key ({subject}: {text}). Check {API_KEY_ID} and {API_KEY_SECRET}, that "
        f"{API_URL} is the platform they are for, and what their application may do"
    )


def _is_taken(text: str) -> bool:
    return any(phrase in text.lower() for phrase in _TAKEN)


def _refusal(subject: str, text: str) -> PlatformError:
    if _is_taken(text):
        return AlreadyExists(f"{subject}: {text}")
    return Refused(f"YellowDog declined ({subject}): {text}")


def _http_failure(subject: str, error: requests.HTTPError) -> PlatformError:
    status = error.response.status_code if error.response is not None else 500
    text = str(error)
    if _is_taken(text):
        return AlreadyExists(f"{subject}: {text}")
    if status == _UNAUTHORISED or "MissingPermission" in text:
        return _unauthorised(subject, f"HTTP {status}")
    kind = _HTTP_ERRORS.get(status, Unavailable if status >= _SERVER_ERROR else Refused)
    return kind(f"{subject}: {text}")
