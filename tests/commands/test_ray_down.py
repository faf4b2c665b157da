"""`ray down` of a cluster whose head is up, also while searches lag or answers are broken."""

import pytest

from tests.commands.account import BOOT, NAME
from tests.simulation.distortions import SHOWS_NOTHING
from tests.simulation.ray_commands import make_workers
from tests.simulation.trouble import Trouble

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


@pytest.mark.parametrize("has_cluster", [True, False])
def test_ray_down_fails_with_one_message_when_the_key_is_refused(laptop, wire, has_cluster):
    if has_cluster:
        laptop.up()

    with wire.trouble("401"):
        down = laptop.down()

    assert down.exit_code == 1
    assert "YellowDog does not accept this API key" in down.output
    assert "The cluster was not removed" in down.output
    assert "No nodes remaining" not in down.output


def test_ray_down_ends_a_cluster_that_is_shown_no_more_once_its_end_is_requested(laptop, account, wire):
    laptop.up()

    def hide() -> None:
        wire.add(Trouble("404", "GET /work/namespaces/*"))
        wire.add(Trouble(SHOWS_NOTHING, "GET /work/requirements"))

    with wire.interrupted("ray down", "PUT /work/requirements/*", hide, applied=True):
        down = laptop.down()

    assert down.exit_code == 0, down.output
    assert f"nothing is left of cluster '{NAME}'" in down.output
    account.assert_nothing_left()


BY_NAME = "GET /workerPools/demo/*"
POOL_LIST = "GET /workerPools/"
COMPUTE_LIST = "GET /compute/requirements"


@pytest.fixture
def with_worker(laptop, world):
    """A cluster with a worker."""
    laptop.up()
    with world.processes.inside(world.laptop("workers")):
        make_workers(laptop.yaml, {"worker": 1})
    world.lab.advance(BOOT)


@pytest.mark.usefixtures("with_worker")
class TestPoolsThatTheirNamesDoNotShow:
    """Each request of a pool by its name is answered with 404."""

    def test_ray_down_finds_pools_by_a_search(self, laptop, account, wire):
        with wire.trouble("404", BY_NAME):
            down = laptop.down()

        assert down.exit_code == 0, down.output
        assert f"nothing is left of cluster '{NAME}'" in down.output
        account.assert_nothing_left()

    def test_ray_down_ends_all_machines_by_their_compute_requirements_when_no_list_has_the_pools(
        self, laptop, account, wire
    ):
        with wire.trouble("404", BY_NAME), wire.trouble(SHOWS_NOTHING, POOL_LIST):
            down = laptop.down()

        assert down.exit_code == 0, down.output
        account.assert_nothing_left()

    def test_ray_down_finds_pools_once_searches_show_them(self, laptop, account, world, wire):
        world.fault("listing-lag", call="GET *", seconds=LAG_SECONDS)

        with wire.trouble("404", BY_NAME):
            down = laptop.down()

        assert down.exit_code == 0, down.output
        assert f"nothing is left of cluster '{NAME}'" in down.output
        account.assert_nothing_left()

    def test_ray_down_claims_nothing_when_no_answer_shows_the_pools(self, laptop, wire):
        with (
            wire.trouble("404", BY_NAME),
            wire.trouble(SHOWS_NOTHING, POOL_LIST),
            wire.trouble(SHOWS_NOTHING, COMPUTE_LIST),
        ):
            down = laptop.down()

        assert "nothing is left" not in down.output
        assert f"shows worker pool {NAME}-head-" in down.output
        assert "neither by name nor in a list" in down.output

    @pytest.mark.parametrize("broken", [POOL_LIST, COMPUTE_LIST])
    def test_ray_down_fails_when_a_search_for_missing_pools_cannot_be_read(self, laptop, wire, broken):
        with (
            wire.trouble("404", BY_NAME),
            wire.trouble("500", broken),
            wire.trouble(SHOWS_NOTHING, POOL_LIST),
        ):
            down = laptop.down()

        assert down.exit_code == 1
        assert f"worker pools {NAME}-head-" in down.output
        assert "nothing is left" not in down.output

    def test_ray_down_searches_for_no_pool_that_its_name_shows(self, laptop, wire):
        wire.clear()

        laptop.down()

        assert not {POOL_LIST, COMPUTE_LIST} & set(wire.calls)
