"""Values in the tag store on the head that RayDog has not written."""

import pytest

FOREIGN = {
    "not JSON": b"no JSON",
    "not UTF-8": b"\xff\xfe",
    "a list": b"[1]",
    "another identity": b'{"ray-node-type": "head", "ray-user-node-type": "gpu", "ray-launch-request": "1"}',
    "a status": b'{"ray-node-status": "up-to-date"}',
}


@pytest.mark.parametrize("value", FOREIGN.values(), ids=FOREIGN)
def test_foreign_values_in_the_tag_store_change_no_node(world, value):
    world.tags.start()
    world.grow_to(2)
    before = world.listed()
    nodes = {name.encode(): value for name in (*before, "worker-0", world.head.entity.name)}
    world.tags.poison("raydog:ray:tags", {**nodes, b"\xff": value, b":version": b"another"})

    world.want_cpus(3)
    for _ in range(6):
        assert world.tick()

    assert before < world.listed()
    assert len(world.listed()) == 3
