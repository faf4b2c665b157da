"""Rules for every test: it leaves nothing behind, and it needs root only with the marker for that."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from tests.contract.gate import ContractGate
from tests.leaks import LeakDetector, mark_this_run

_MARK = mark_this_run()
_NEEDS_ROOT = ("hosts", "e2e")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(ContractGate())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if _starts_hosts(item):
            item.add_marker(pytest.mark.skip(reason="needs root: scripts/test runs it with sudo"))


def pytest_collection_finish() -> None:
    """Take modules and collected tests out of garbage collection: it would examine them again and again."""
    gc.collect()
    gc.freeze()


def _starts_hosts(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) for name in _NEEDS_ROOT)


@pytest.fixture(scope="session")
def leak_detector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LeakDetector]:
    """Detects leaks; a fixture that starts a platform may register further things with `watch`.

    At the end of the session the leaks of fixtures of wider scope count too.
    """
    detector = LeakDetector(_MARK, own_directory=tmp_path_factory.getbasetemp())
    before = detector.snapshot()
    yield detector
    found = detector.leaks(before)
    detector.end_processes(before)
    if found:
        pytest.fail("the fixtures of this session left behind: " + "; ".join(found), pytrace=False)


@pytest.fixture(autouse=True)
def _nothing_left_behind(leak_detector: LeakDetector) -> Iterator[None]:
    before = leak_detector.snapshot()
    yield
    found = leak_detector.leaks(before)
    leak_detector.end_processes(before)
    if found:
        pytest.fail("this test left behind: " + "; ".join(found), pytrace=False)
