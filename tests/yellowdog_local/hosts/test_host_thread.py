"""Tests of the thread of a host, without any process. `test_real.py` has those with hosts."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import MagicMock

from yellowdog_local.hosts.base import HostAddress, HostRequest
from yellowdog_local.hosts.real import HostThread


class Unstarted(HostThread):
    """A host whose first process is never started."""

    def power_off(self) -> None:
        """Nothing runs."""

    def _boot(self) -> HostAddress:
        self._next_event(1.0)
        return HostAddress("i-a", "10.0.0.2", "10.0.0.2")

    def _clean_up(self) -> None:
        pass


def test_host_without_a_first_process_is_gone_for_that_reason(tmp_path: Path) -> None:
    listener = MagicMock()
    request = HostRequest("i-a", "token", None, "sim-instance", "", "local", 0.0)

    Unstarted(MagicMock(data_directory=tmp_path), request, listener).run()

    listener.host_gone.assert_called_once_with("i-a", "the first process was not started")
