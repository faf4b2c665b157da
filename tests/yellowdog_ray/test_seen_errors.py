"""Which errors count as new."""

from collections.abc import Callable

import pytest

from yellowdog_ray.seen_errors import MAX_ERRORS, DistinctErrors


def here(error: Exception) -> None:
    raise error


def elsewhere(error: Exception) -> None:
    raise error


def raised(raiser: Callable[[Exception], None], error: Exception) -> Exception:
    """The error, with the traceback of its raising."""
    with pytest.raises(type(error)) as caught:
        raiser(error)
    return caught.value


def test_error_is_new_once_per_type_and_line():
    errors = DistinctErrors()

    assert errors.is_new(raised(here, ValueError("a")))
    assert not errors.is_new(raised(here, ValueError("b")))
    assert errors.is_new(raised(here, KeyError("a")))
    assert errors.is_new(raised(elsewhere, ValueError("a")))


def test_error_without_traceback_is_new_once():
    errors = DistinctErrors()

    assert errors.is_new(ValueError())
    assert not errors.is_new(ValueError())


def test_no_error_is_new_beyond_the_maximum():
    errors = DistinctErrors()

    new = [errors.is_new(type(f"Error{number}", (Exception,), {})()) for number in range(2 * MAX_ERRORS)]

    assert sum(new) == MAX_ERRORS
