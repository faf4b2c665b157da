"""`ray down` of a cluster whose head runs."""


def test_ray_down_terminates_all_nodes_at_once(laptop, account):
    laptop.up()

    down = laptop.down()

    assert down.exit_code == 0, down.output
    assert "No nodes remaining" in down.output
    assert "nodes to shut down" not in down.output  # Ray says so before it sleeps
    account.assert_nothing_left()
