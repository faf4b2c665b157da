"""The announced ends of idle clusters: read from the names of their heads' records. Must not import pydantic (slow)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from yellowdog_ray import names
from yellowdog_ray.errors import PlatformError
from yellowdog_ray.platform.calls import Namespaces
from yellowdog_ray.platform.client import Platform
from yellowdog_ray.platform.types import WorkRequirementView, oldest_first

MOST_AGE = timedelta(minutes=16)
"""Age up to which a state holds: the head repeats it after 15 minutes if it may explain anything."""


@dataclass(frozen=True)
class IdleEnds:
    """The announced ends of all clusters.

    Attributes:
        by_tag: the end by the namespace and tag of the records, as the latest record of each head has it.
        failure: why they could not be read.
    """

    by_tag: Mapping[tuple[str, str], datetime | None] = field(default_factory=dict)
    failure: str | None = None

    def of(self, namespace: str, work: WorkRequirementView) -> datetime | None:
        """The announced end of one cluster; None without one."""
        return self.by_tag.get((namespace, names.state_tag(work.groups[0].worker_tag)))


def read_idle_ends(platform: Platform, namespaces: Namespaces) -> IdleEnds:
    """The announced ends in these namespaces: one call per namespace, or one for all."""
    try:
        records = platform.recent_documents(namespaces, platform.clock.now() - MOST_AGE)
    except PlatformError as error:
        return IdleEnds(failure=str(error))
    # The search was by this machine's clock, if few answers had shown the platform's time before.
    oldest = platform.clock.now() - MOST_AGE
    recent = [record for record in records if record.created is None or record.created >= oldest]
    by_age = sorted(recent, key=lambda record: oldest_first(record.created))
    return IdleEnds({(record.namespace, record.tag): names.announced_end(record.name) for record in by_age})
