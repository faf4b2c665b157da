"""The current settings: another `ray up` may replace those of the autoscaler on the head while it runs."""

from __future__ import annotations

from yellowdog_ray.config.models import ProviderSettings


class LiveSettings:
    """Holds the current `provider` section. Objects that outlive one call keep this object, never the section.

    Thread-safe: settings are immutable and replaced as a whole.
    """

    def __init__(self, settings: ProviderSettings) -> None:
        self._current = settings

    @property
    def current(self) -> ProviderSettings:
        """The settings that apply now."""
        return self._current

    def replace(self, settings: ProviderSettings) -> None:
        """Put other settings in force."""
        self._current = settings
