"""What `raydog gc` takes for a leftover, and what becomes of each; on a platform of views."""

import itertools
import json
from dataclasses import replace
from types import SimpleNamespace

import pytest

from tests.yellowdog_ray.inventory.conftest import NOW, OLD, TAG, make_work
from yellowdog_ray.cluster.ending import request_end
from yellowdog_ray.commands.progress import Progress
from yellowdog_ray.commands.teardown import tear_down
from yellowdog_ray.errors import MalformedResponse, NotAuthorised, NotFound, TeardownIncomplete
from yellowdog_ray.inventory import account, leftovers
from yellowdog_ray.inventory.leftovers import Removal, read_leftovers, remove
from yellowdog_ray.platform.account_types import Application
from yellowdog_ray.platform.types import PoolEntry, PoolView, WorkRequirementEntry

POOL = PoolEntry("p", "demo", TAG, "RUNNING", False, OLD)


class Views:
    """A platform with some work requirements, and a search that may leave some out."""

    def __init__(self, *works, pools=(POOL,), unlisted=(), is_set=True):
        self.works = {work.id: work for work in works}
        self.pools = list(pools)
        self.unlisted = unlisted
        self.clock = SimpleNamespace(now=lambda: NOW, is_set=is_set)
        self.failures = {}
        self.namespace = "demo"

    def within(self, _):
        return self

    def all_work(self, *_, **__):
        listed = [work for work in self.works.values() if work.id not in self.unlisted]
        return [WorkRequirementEntry(one.id, one.name, one.finished, one.created, "demo") for one in listed]

    work_requirements = all_work

    def live_pools(self, _):
        return self.pools

    def live_computes(self, _):
        return []

    def group_tasks(self, _):
        return []

    def work_requirement(self, id_):
        if id_ in self.failures:
            raise self.failures[id_]
        return self.works[id_]

    def named_work_requirement(self, name):
        return next((work for work in self.works.values() if work.name == name), None)


@pytest.fixture
def ended(monkeypatch):
    """The ids of the work requirements whose teardown has run; one named `stuck` does not end."""
    ids = []

    def tear_down(platform, work, *_):
        ids.append(work.id)
        if work.name == "stuck":
            raise TeardownIncomplete("the platform still shows it")
        return ["pool-x"] if work.name == "hidden" else []

    monkeypatch.setattr(leftovers, "tear_down", tear_down)
    monkeypatch.setattr(leftovers, "request_end", lambda *_: [])
    return ids


def test_tear_down_that_times_out_names_the_refused_request():
    seconds = itertools.count(step=100)

    def refuse(_):
        raise NotAuthorised("403 for this key")

    platform = SimpleNamespace(
        namespace="demo",
        work_requirement=lambda _: make_work(status="RUNNING"),
        find_pool=lambda _: None,
        listed_pools=lambda _: [],
        pool=lambda _: None,
        listed_computes=lambda _: [],
        shut_down_pool=refuse,
        cancel_work_requirement=refuse,
    )
    clock = SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda _: None)

    with pytest.raises(TeardownIncomplete, match="the request failed: 403 for this key"):
        tear_down(platform, make_work(), Progress(), clock)


@pytest.mark.parametrize("as_json", [False, True])
def test_gc_reports_each_leftover(raydog, monkeypatch, as_json):
    found = read_leftovers(
        Views(*(make_work(name, name, tag=f"{name}-head-0a0b0c0d") for name in ("a", "b", "c")), pools=[]), "demo"
    )
    a, b, c = found.old
    removals = [Removal(a, failure="403"), Removal(b, unseen=("pool-b",)), Removal(c, revived=True)]
    monkeypatch.setattr(leftovers, "read_leftovers", lambda *_: found)
    monkeypatch.setattr(leftovers, "remove", lambda *_: removals)
    monkeypatch.setattr(account, "Account", lambda _: SimpleNamespace(within=lambda _: None))

    result = raydog.run("gc", "--namespace", "demo", "-y", *["--json"] * as_json)

    assert result.exit_code == 1
    assert "cluster a: 403" in result.stderr
    assert "used by a living head, and left alone: c" in result.stderr
    if as_json:
        shown = [(one["removed"], one["failure"], one["notShown"]) for one in json.loads(result.stdout)["leftovers"]]
        assert shown == [(False, "403", []), (True, None, ["pool-b"]), (False, None, [])]
    else:
        assert "It shows worker pool pool-b neither by name nor in a list" in result.stdout
        assert "nothing is left" not in result.stdout


@pytest.mark.parametrize("command", [("gc",), ("list",), ("down", "demo", "-y")])
@pytest.mark.parametrize("namespace", ["", "Demo", "demo ", "*"])
def test_name_that_no_namespace_can_have_is_refused(raydog, command, namespace):
    result = raydog.run(*command, "--namespace", namespace)

    assert result.exit_code == 2
    assert f"'{namespace}' is no namespace's name" in result.stderr


@pytest.mark.parametrize(
    ("readable", "exists", "lacks"),
    [
        (("demo",), False, False),
        (("other",), True, True),
        (None, True, False),
        (None, False, True),
        (None, None, False),
    ],
)
def test_gc_notes_a_namespace_that_the_key_does_not_see(raydog, monkeypatch, readable, exists, lacks):
    class Key(account.Account):
        application = Application("a", "key", readable)

        def __init__(self, _):
            self.platform = self

        def has_namespace(self, _):
            if exists is None:
                raise NotAuthorised("403")
            return exists

    monkeypatch.setattr(account, "Account", Key)
    monkeypatch.setattr(leftovers, "read_leftovers", lambda *_: read_leftovers(Views(pools=[]), "demo"))

    result = raydog.run("gc", "--namespace", "demo")

    assert result.exit_code == 0, result.output
    assert ("can read no namespace 'demo'" in result.stderr) == lacks


def remove_all(platform):
    return remove(platform, read_leftovers(platform, "demo").old, Progress())


@pytest.mark.parametrize(
    ("created", "pool_created", "is_set", "is_old"),
    [
        (OLD, OLD, True, True),
        (None, OLD, True, False),
        (OLD, None, True, False),
        (OLD, OLD, False, False),
        (OLD, NOW, True, False),
    ],
)
def test_leftover_of_unknown_age_is_young(created, pool_created, is_set, is_old):
    found = read_leftovers(
        Views(make_work(created=created), pools=[replace(POOL, created=pool_created)], is_set=is_set), "demo"
    )

    assert (len(found.old), len(found.young)) == ((1, 0) if is_old else (0, 1))


def test_configured_pool_with_the_name_of_an_ended_one_is_no_leftover():
    ended_work = make_work(status="CANCELLED")

    assert read_leftovers(Views(ended_work), "demo").old
    found = read_leftovers(Views(ended_work, pools=[replace(POOL, configured=True)]), "demo")
    assert (found.old, found.young, found.unproven) == ((), (), ())


def test_request_end_leaves_a_configured_pool_of_the_same_name():
    shut_down = []
    configured = PoolView("p", TAG, "RUNNING", False, None, configured=True)
    platform = SimpleNamespace(
        find_pool=lambda _: configured,
        listed_pools=lambda _: [configured],
        pool=lambda _: configured,
        shut_down_pool=shut_down.append,
    )

    assert request_end(platform, make_work(status="CANCELLED")) == []
    assert shut_down == []


@pytest.mark.parametrize("failure", [NotFound("no such work requirement"), MalformedResponse("a new status")])
def test_listed_work_requirement_that_cannot_be_read_is_reported_and_hides_no_other(failure):
    platform = Views(make_work(), make_work("odd", "v"), pools=[])
    platform.failures["v"] = failure

    found = read_leftovers(platform, "demo")

    assert [one.cluster for one in found.old] == ["demo"]
    assert found.unread == (f"work requirement odd: {failure}",)


def test_gc_fails_when_a_work_requirement_cannot_be_read(raydog, monkeypatch):
    platform = Views(make_work("odd", "v"), pools=[])
    platform.failures["v"] = NotFound("no such work requirement")
    monkeypatch.setattr(account, "Account", lambda _: platform)

    result = raydog.run("gc", "--namespace", "demo", "--dry-run")

    assert result.exit_code == 1
    assert "not read, and left alone: work requirement odd: no such work requirement" in result.stderr


def test_pools_of_a_living_cluster_that_no_list_shows_are_not_reported():
    found = read_leftovers(Views(make_work(live=1), unlisted=("w",)), "demo")

    assert (found.old, found.young, found.unproven, found.unread) == ((), (), (), ())


def test_pools_of_a_cluster_that_cannot_be_read_by_its_name_are_not_called_unproven():
    platform = Views(make_work(live=1), unlisted=("w",))

    def fail(_):
        raise NotAuthorised("403")

    platform.named_work_requirement = fail

    found = read_leftovers(platform, "demo")

    assert (found.unproven, found.unread) == ((), (f"the cluster of {TAG}: 403",))


def test_remove_leaves_the_copy_of_a_living_cluster_that_no_list_shows(ended):
    platform = Views(make_work(live=1), make_work("demo-2", "copy", "CANCELLED"), unlisted=("w",))

    (removal,) = remove_all(platform)

    assert (removal.revived, removal.removed, ended) == (True, False, [])


def test_remove_tears_down_every_leftover_when_one_fails(ended):
    works = [make_work(name, name, tag=f"{name}-head-0a0b0c0{at}") for at, name in enumerate(("stuck", "no", "hidden"))]
    platform = Views(*works, pools=[])
    found = read_leftovers(platform, "demo").old
    platform.failures["no"] = NotAuthorised("403")

    stuck, unread, hidden = remove(platform, found, Progress())

    assert ended == ["stuck", "hidden"]
    assert stuck.failure == "the platform still shows it"
    assert unread.failure == "left alone: 403"
    assert (hidden.removed, hidden.unseen) == (True, ("pool-x",))


RECORD = "head-info-0a0b0c0d-0123456789ab"


@pytest.mark.parametrize(
    ("name", "counted", "listed", "groups", "is_leftover"),
    [
        (RECORD, 0, [], 1, True),
        ("head-info-0a0b0c0d-nightly", 0, [], 1, False),
        (f"{RECORD}-ends-20261128t093105z", 0, [], 1, True),
        (f"{RECORD}-ends-soon", 0, [], 1, False),
        (f"{RECORD}c", 0, [], 1, False),
        ("head-info-ffffffff-0123456789ab", 0, [], 1, False),
        (RECORD, 1, [], 1, False),
        (RECORD, 0, ["task"], 1, False),
        (RECORD, 0, [], 2, False),
    ],
)
def test_record_is_a_leftover_only_in_its_exact_form_and_without_tasks(
    monkeypatch, name, counted, listed, groups, is_leftover
):
    work = make_work(name, live=counted, tag="demo-info-0a0b0c0d")
    work = replace(work, groups=(replace(work.groups[0], name="info"),) * groups)
    platform = Views(work, pools=[])
    monkeypatch.setattr(platform, "group_tasks", lambda _: listed, raising=False)

    assert bool(read_leftovers(platform, "demo").old) == is_leftover
