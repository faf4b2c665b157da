"""`ray down` of a cluster whose head is up."""


def test_all_nodes_are_asked_to_end_at_once_and_ray_finds_none_to_wait_for(laptop, account):
    laptop.up()

    down = laptop.down()

    assert down.exit_code == 0, down.output
    assert "No nodes remaining" in down.output
    assert "nodes to shut down" not in down.output  # Ray says so before it sleeps
    account.assert_nothing_left()
