"""The removal of a live run's cluster while the platform cannot be read, on a local platform with stepped time."""

from __future__ import annotations

from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from requests.adapters import HTTPAdapter

from tests.live.__main__ import main as command
from tests.live.account import Access, ClusterView
from tests.live.guardian import LEFT, REMOVED, removal_command, remove
from tests.live.test_live import CLUSTER, alive, make_cluster
from yellowdog_local import faults
from yellowdog_local.state.clock import SteppedClock
from yellowdog_local.testing import local_platform

CALLS = 6
"""The calls of a removal: three lists, and the end of a work requirement, a pool and a compute requirement."""

NO_SERVER = "http://127.0.0.1:9"
OUTAGES = {
    "unavailable": faults.Status(status=503),
    "throttled": faults.Status(status=429, retry_after_seconds=3600),
    "revoked key": faults.KeyRevoked(),
    "refused connection": None,
}


@pytest.fixture
def local():
    with local_platform(clock=SteppedClock()) as local:
        yield local


@pytest.fixture
def access(local):
    return Access(local.url, local.key_id, local.key_secret, "demo")


@pytest.fixture
def view(access):
    view = ClusterView(access, CLUSTER, retries=False)
    yield view
    view.close()


@pytest.fixture
def slept(local, monkeypatch):
    """The seconds slept so far, which pass on the platform too."""
    slept = [0.0]

    def sleep(seconds: float) -> None:
        slept[0] += seconds
        local.advance(seconds)

    clock = SimpleNamespace(sleep=sleep, monotonic=lambda: slept[0])
    monkeypatch.setattr("tests.live.guardian.time", clock)
    monkeypatch.setattr("tests.live.guardian._end_commands", lambda _: None)
    return slept


@pytest.fixture
def outage(local, slept, monkeypatch):
    """Makes the platform fail from a call on, until so many seconds have been slept; gives the failed calls."""

    def outage(kind: str, first: int, seconds: float) -> list[str]:
        calls: list[str] = []
        failed: list[str] = []
        send = HTTPAdapter.send

        def fail(self, request, *arguments, **options):
            path = urlsplit(request.url).path
            calls.append(path)
            if len(calls) < first or slept[0] >= seconds:
                return send(self, request, *arguments, **options)
            failed.append(path)
            rule = OUTAGES[kind]
            if rule is None:
                request.url = f"{NO_SERVER}{path}"
                return send(self, request, *arguments, **options)
            with local.faults.during(rule):
                return send(self, request, *arguments, **options)

        monkeypatch.setattr(HTTPAdapter, "send", fail)
        return failed

    return outage


@pytest.mark.parametrize("kind", OUTAGES)
@pytest.mark.parametrize("first", range(1, CALLS + 1))
def test_removal_ends_everything_after_an_outage_at_any_call(local, view, outage, kind, first):
    make_cluster(local, CLUSTER)
    make_cluster(local, "another")
    failed = outage(kind, first, seconds=5)

    assert remove(view, CLUSTER, 0.0) == REMOVED
    assert len(failed) >= 1
    assert alive(local) == ["another", "another-head-0badcafe", "another-head-0badcafe"]


@pytest.mark.parametrize("kind", OUTAGES)
def test_removal_reports_what_is_left_when_the_outage_does_not_end(
    local, view, slept, outage, monkeypatch, capfd, kind
):
    make_cluster(local, CLUSTER)
    monkeypatch.setattr("tests.live.guardian.REMOVAL_SECONDS", 5.0)
    outage(kind, 2, seconds=60)

    assert remove(view, CLUSTER, 0.0) == LEFT
    assert slept[0] == 6
    printed = capfd.readouterr().out
    unread = "work requirements that cannot be read, worker pools that cannot be read"
    assert f"LEFT: {unread}, compute requirements that cannot be read: run `{removal_command(CLUSTER)}`" in printed
    assert f"removing work requirement {CLUSTER}, worker pools that cannot be read" in printed
    assert "retrying, for 5 s at most" in printed


def test_orderly_end_is_no_failure_after_an_outage(view, outage):
    outage("unavailable", 1, seconds=5)

    assert remove(view, CLUSTER, 0.0) == 0


@pytest.mark.parametrize("unread", ["/workerPools", "/work/requirements", "/compute/requirements"])
def test_removal_ends_the_rest_when_one_kind_cannot_be_read(local, view, slept, monkeypatch, unread):
    make_cluster(local, CLUSTER)
    monkeypatch.setattr("tests.live.guardian.REMOVAL_SECONDS", 5.0)

    with local.faults.during(faults.Status(call=f"GET {unread}*", status=403)):
        assert remove(view, CLUSTER, 0.0) == LEFT

    assert len(alive(local)) <= 1


class TestCommand:
    @pytest.fixture
    def run(self, access, monkeypatch):
        """Runs the command that removes a cluster."""

        def run(cluster: str) -> int:
            variables = {
                "YD_API_URL": access.url,
                "YD_API_KEY_ID": access.key_id,
                "YD_API_KEY_SECRET": access.secret,
                "RAYDOG_LIVE_NAMESPACE": access.namespace,
            }
            monkeypatch.setattr("os.environ", variables)
            monkeypatch.setattr("sys.argv", ["live", "--remove", cluster])
            return command()

        return run

    def test_remove_ends_the_cluster_of_an_earlier_run(self, local, slept, run):
        make_cluster(local, CLUSTER)

        assert run(CLUSTER) == 0
        assert alive(local) == []

    def test_remove_refuses_any_other_cluster(self, local, run, capsys):
        make_cluster(local, "another")

        with pytest.raises(SystemExit, match="2"):
            run("another")

        assert "'another' is no cluster of a live run" in capsys.readouterr().err
        assert len(alive(local)) == 3
