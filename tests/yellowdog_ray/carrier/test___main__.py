"""The program of a carrier."""

from __future__ import annotations

import time

import pytest

from yellowdog_ray.carrier.__main__ import main
from yellowdog_ray.node import kit


@pytest.fixture
def renew(tmp_path):
    """Makes a kit that was renewed so many seconds before, and has no manifest."""

    def renewed(age: float) -> None:
        (tmp_path / kit.RENEWED).write_text(str(time.clock_gettime(time.CLOCK_BOOTTIME) - age))

    return renewed


def test_carrier_uses_no_kit_that_was_renewed_long_before(renew, tmp_path, caplog):
    renew(kit.OLD_SECONDS + 1)

    assert main(tmp_path) == 1
    assert "this worker's copy of the head's files is too old" in caplog.text


def test_carrier_uses_a_kit_that_was_renewed_shortly_before(renew, tmp_path):
    renew(kit.OLD_SECONDS - 30)

    with pytest.raises(FileNotFoundError, match=kit.MANIFEST):
        main(tmp_path)
