from yellowdog_ray.config.live import LiveSettings
from yellowdog_ray.config.models import parse_provider


def test_live_settings_are_current_after_replacement():
    first, second = (
        parse_provider({"cluster_namespace": "demo", "cluster_lifetime_hours": hours}, "cluster.yaml")
        for hours in (1, 2)
    )
    live = LiveSettings(first)
    assert live.current is first

    live.replace(second)

    assert live.current is second
