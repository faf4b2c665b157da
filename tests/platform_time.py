"""The provider's clock in tests: the platform's own stepped one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from yellowdog_local.testing import RunningPlatform


@dataclass(frozen=True)
class PlatformTime:
    """Tied to the platform's clock: sleeping moves the platform on."""

    local: RunningPlatform

    def now(self) -> datetime:
        return self.local.clock.now()

    def monotonic(self) -> float:
        return self.local.clock.now().timestamp()

    def sleep(self, seconds: float) -> None:
        self.local.advance(seconds)
