"""Nodes with several addresses, of which the platform shows one."""


def test_node_is_same_node_when_it_joins_with_another_address(world, monkeypatch):
    observe = world.ray.observe

    def observe_another() -> None:
        observe()
        for number, raylet in enumerate(world.ray.workers, start=1):
            raylet.ip = f"192.0.2.{number}"

    monkeypatch.setattr(world.ray, "observe", observe_another)
    world.grow_to(2)
    before = world.listed()

    world.ticks(20)

    assert world.listed() == before
    assert {world.provider.internal_ip(node_id) for node_id in before} == {"192.0.2.1", "192.0.2.2"}
