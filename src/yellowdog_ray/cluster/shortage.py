"""The failure that messages of compute sources report. Must not import `config`, which is slow for commands."""

from __future__ import annotations

from collections.abc import Sequence

from yellowdog_ray.errors import NoCapacity, NodeBuildError, ProvisioningFailed, QuotaExceeded

_QUOTA_WORDS = ("quota", "limit")
_CAPACITY_WORDS = ("capacity",)


def shortage(messages: Sequence[str]) -> type[NodeBuildError]:
    """The kind of failure that the messages of a pool's sources are about, by their words."""
    text = " ".join(messages).lower()
    if any(word in text for word in _QUOTA_WORDS):
        return QuotaExceeded
    return NoCapacity if any(word in text for word in _CAPACITY_WORDS) else ProvisioningFailed
