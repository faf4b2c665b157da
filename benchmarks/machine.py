"""Describes the machine: cores, processor, versions, load."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True)
class Cores:
    """The cores of platform and provider. On a machine with a single core both share it, which increases times."""

    platform: int
    provider: int

    @classmethod
    def of_this_machine(cls) -> Cores:
        """The first two cores that this process may use."""
        usable = sorted(os.sched_getaffinity(0))
        return cls(usable[0], usable[-1 if len(usable) == 1 else 1])


def description() -> dict[str, object]:
    """Properties of this machine that affect the figures."""
    model = "unknown"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "ray": version("ray"),
        "date": date.today().isoformat(),
        # Above 0 before the first run: other programs are running and increase times.
        "load_before": round(os.getloadavg()[0], 2),
    }
