"""The end of `ray down`: no token goes, and no success is reported, while a newer cluster of the name may be alive."""

import os
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace

import pytest

from tests.yellowdog_ray.inventory.conftest import make_work
from yellowdog_ray.commands import after_teardown
from yellowdog_ray.commands.after_teardown import require_last, require_no_newer_token
from yellowdog_ray.errors import TeardownIncomplete, Unavailable

NOW = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
AHEAD = timedelta(hours=3)
"""Of this machine's clock."""


@pytest.fixture
def platform():
    return SimpleNamespace(clock=SimpleNamespace(now=lambda: NOW, to_local=lambda moment: moment + AHEAD))


def is_refused(platform, file, work=None) -> bool:
    try:
        require_no_newer_token(platform, file, work, "text")
    except TeardownIncomplete:
        return True
    return False


def ended(minutes: float):
    """A work requirement that ended so many minutes ago."""
    return SimpleNamespace(status_changed=NOW - timedelta(minutes=minutes))


@pytest.mark.parametrize(
    ("written", "ended_ago", "refused"),
    [(5, 6, True), (5, 4, False), (600, 601, True), (9, None, True), (11, None, False)],
)
def test_token_that_is_younger_than_the_shown_end_is_kept(platform, tmp_path, written, ended_ago, refused):
    file = tmp_path / "auth_token"
    file.touch()
    moment = (NOW + AHEAD - timedelta(minutes=written)).timestamp()
    os.utime(file, (moment, moment))

    assert is_refused(platform, file, None if ended_ago is None else ended(ended_ago)) is refused


def test_missing_token_is_no_sign_of_a_newer_cluster(platform, tmp_path):
    assert not is_refused(platform, tmp_path / "auth_token", ended(1))


def test_newer_cluster_that_cannot_be_searched_for_is_reported(monkeypatch):
    def fail(*_):
        raise Unavailable("no answer")

    monkeypatch.setattr(after_teardown, "find_last_work", fail)

    with pytest.raises(TeardownIncomplete, match=r"text\. A newer one could not be searched for: no answer"):
        require_last(SimpleNamespace(), "ray", make_work("ray", "w", "RUNNING", live=1), "text", "ray down")
