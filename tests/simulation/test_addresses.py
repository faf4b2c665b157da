"""Hosts with several addresses, of which the platform shows one."""


def test_a_node_that_has_joined_with_another_address_than_the_platform_shows_is_the_same_node(world, monkeypatch):
    observe = world.ray.observe

    def observe_another() -> None:
        observe()
        for number, raylet in enumerate(world.ray.workers, start=1):
            raylet.ip = f"192.0.2.{number}"

    monkeypatch.setattr(world.ray, "observe", observe_another)
    world.grown_to(2)
    before = world.listed()

    world.ticks(20)

    assert world.listed() == before
    assert {world.provider.internal_ip(node_id) for node_id in before} == {"192.0.2.1", "192.0.2.2"}
