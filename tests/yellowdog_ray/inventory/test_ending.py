"""How `raydog down` ends: with the token's removal only if no newer incarnation may be alive."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.yellowdog_ray.inventory.conftest import make_work
from yellowdog_ray.commands import after_teardown
from yellowdog_ray.commands.cluster_token import token_file
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.errors import TeardownIncomplete
from yellowdog_ray.inventory import ending
from yellowdog_ray.inventory.target import Found


@pytest.fixture
def found(monkeypatch, tmp_path):
    """A cluster that was found, and its newest work requirement, whose end is shown at once."""
    monkeypatch.setenv("HOME", str(tmp_path))
    token = token_file("demo", "ray")
    token.parent.mkdir(parents=True)
    token.touch()
    monkeypatch.setattr(ending, "tear_down", lambda *_: [])

    def make(*, finished=False, newest=None):
        work = make_work("ray", "w", "CANCELLED" if finished else "RUNNING", live=1)
        answer = {None: work, "same": work, "alive": replace(work, id="v", finished=False)}.get(newest)
        monkeypatch.setattr(after_teardown, "find_last_work", lambda *_: answer)
        return Found("ray", SimpleNamespace(namespace="demo", clock=None), work)

    return make


def test_end_forgets_the_token_and_names_the_namespace(found):
    assert ending.end(found(), Progress()) == "nothing is left of cluster 'ray' on YellowDog (namespace demo)"
    assert not token_file("demo", "ray").exists()


def test_end_keeps_the_token_of_a_cluster_that_was_created_again(found):
    again = found(newest="alive")

    with pytest.raises(TeardownIncomplete, match="created again meanwhile"):
        ending.end(again, Progress())
    assert token_file("demo", "ray").exists()
    with pytest.raises(TeardownIncomplete, match="nothing was ended"):
        ending.require_newest(again)


def test_end_keeps_the_token_when_the_cluster_had_ended_before(found):
    with pytest.raises(TeardownIncomplete, match="It had ended before"):
        ending.end(found(finished=True), Progress())
    assert token_file("demo", "ray").exists()
