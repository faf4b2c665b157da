"""`ray down` of a cluster whose head is up, also while searches lag or answers are broken."""

import pytest

from tests.commands.account import BOOT, NAME

LAG_SECONDS = 30.0


def test_ray_down_ends_all_nodes_at_once_and_ray_waits_for_none(laptop, account):
    laptop.up()

    down = laptop.down()

    assert down.exit_code == 0, down.output
    assert "No nodes remaining" in down.output
    assert "nodes to shut down" not in down.output  # Ray says so before it sleeps
    account.assert_nothing_left()


class TestLaggingSearch:
    """A search does not show what was created in the last 30 s."""

    @pytest.fixture(params=["GET /work/requirements", "GET /work/*", "GET *"])
    def lag(self, request, world, account):
        world.fault("listing-lag", call=request.param, seconds=LAG_SECONDS)

    @pytest.mark.usefixtures("lag")
    def test_ray_down_leaves_nothing_while_searches_lag(self, laptop, account):
        up = laptop.up()
        assert up.exit_code == 0, up.output

        down = laptop.down()

        assert down.exit_code == 0, down.output
        assert f"nothing is left of cluster '{NAME}'" in down.output
        account.assert_nothing_left()

    @pytest.mark.usefixtures("lag")
    def test_ray_down_removes_the_younger_cluster_while_searches_show_an_ended_one(self, laptop, account, world):
        laptop.up()
        laptop.down()
        laptop.up()

        down = laptop.down()

        assert down.exit_code == 0, down.output
        account.assert_nothing_left()

    @pytest.mark.usefixtures("lag")
    def test_second_ray_up_completes_the_cluster_while_searches_lag(self, laptop, account, world):
        laptop.up()

        up = laptop.up()

        assert up.exit_code == 0, up.output
        world.lab.advance(BOOT)
        account.assert_one_cluster()


def test_ray_down_reports_a_cluster_that_the_platform_does_not_show(laptop):
    down = laptop.down()

    assert down.exit_code == 0, down.output
    assert f"YellowDog shows no cluster '{NAME}' in namespace 'demo'" in down.output
    assert "nothing is left" not in down.output
