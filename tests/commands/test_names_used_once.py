"""A platform on which the name of an ended work requirement, pool or compute requirement cannot be used again."""

import pytest

from tests.commands.account import NAME
from tests.commands.laptop import Laptop
from tests.simulation.ray_commands import make_workers
from yellowdog_local.state.settings import Settings


@pytest.fixture
def settings() -> Settings:
    """The platform's settings."""
    return Settings(reuse_finished_names=False)


def names_of_works(world, first):
    """The names of all work requirements that begin like this, in the order of their creation."""
    names = [str(work.entity.name) for work in world.lab.platform.store.works.values()]
    return [name for name in names if name.startswith(first)]


def test_ray_up_and_down_repeat_under_numbered_names(world, account, up, down):
    before = len(names_of_works(world, NAME))

    for _ in range(3):
        up()
        down()

    assert names_of_works(world, NAME)[before:] == ["ray", "ray-3", "ray-4"]  # `ray-2` is another's


def test_workers_join_a_cluster_with_a_numbered_name(world, laptop, account, up, down):
    up()
    down()
    up()
    with world.processes.inside(world.laptop("workers")):
        make_workers(laptop.yaml, {"worker": 2})
    world.lab.advance(3.0)

    assert len(account.instances()) == 3
    down()


@pytest.mark.search
@pytest.mark.timeout(600)
@pytest.mark.parametrize("command", ["up", "down"])
def test_ray_up_and_down_complete_a_killed_command(sweep, laptop, up, down, account, command):
    """Each of up, down, up, down is killed at its calls (`every_kill`), after the cluster's own name is used up."""

    def recover():
        assert laptop.up().exit_code == 0
        account.assert_one_head()
        down()

    up()
    down()
    if command == "up":
        sweep(lambda: None, laptop.up, recover)
    else:
        sweep(up, laptop.down, recover)


class TestClusterThatIsNamedLikeALaterGeneration:
    """Cluster `crew`, whose second generation is work requirement `crew-2`, and a cluster `crew-2`."""

    @pytest.fixture
    def crew(self, world, account) -> Laptop:
        """Cluster `crew` in its second generation."""
        laptop = Laptop(world, "crew")
        for command in (laptop.up, laptop.down, laptop.up):
            assert command().exit_code == 0
        assert names_of_works(world, "crew") == ["crew", "crew-2"]
        return laptop

    @pytest.fixture
    def crew_2(self, world, account) -> Laptop:
        """The laptop of cluster `crew-2`."""
        return Laptop(world, "crew-2")

    def test_ray_down_leaves_the_other_cluster(self, crew, crew_2, account):
        alive = account.instances()

        result = crew_2.down()

        assert result.exit_code == 0, result.output
        assert "shows no cluster 'crew-2'" in result.output
        assert account.instances() == alive

    def test_ray_up_creates_a_cluster_of_its_own(self, crew, crew_2, account, world):
        (alive,) = account.instances()

        result = crew_2.up()

        assert result.exit_code == 0, result.output
        assert names_of_works(world, "crew") == ["crew", "crew-2", "crew-2-2"]
        assert crew.down().exit_code == 0
        (other,) = account.instances()
        assert other != alive
        assert crew_2.down().exit_code == 0
        account.assert_nothing_left()

    def test_next_generation_skips_the_name_of_the_other_cluster(self, crew_2, world, account):
        laptop = Laptop(world, "crew")
        for command in (crew_2.up, laptop.up, laptop.down, laptop.up):
            assert command().exit_code == 0
        assert names_of_works(world, "crew") == ["crew-2", "crew", "crew-3"]

        assert crew_2.down().exit_code == 0

        assert len(account.instances()) == 1
        assert laptop.down().exit_code == 0
        account.assert_nothing_left()


@pytest.mark.parametrize("length", [54, 55, 60])
def test_long_name_is_found_again(world, account, length):
    laptop = Laptop(world, "c" * length)
    for command in (laptop.up, laptop.down, laptop.up, laptop.up, laptop.down, laptop.up):
        result = command()
        assert result.exit_code == 0, result.output
    assert len(account.instances()) == 1

    assert laptop.down().exit_code == 0

    account.assert_nothing_left()
    assert max(map(len, names_of_works(world, "c" * 47))) <= 60
