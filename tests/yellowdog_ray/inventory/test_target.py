"""The cluster that a command is about: a name or a YAML."""

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from tests.yellowdog_ray.inventory.conftest import make_work
from yellowdog_ray import names
from yellowdog_ray.errors import ConfigError
from yellowdog_ray.inventory import target
from yellowdog_ray.inventory.target import Target, find, parse_target, require_certain


@pytest.mark.parametrize("name", ["n" * 60, "a-very-long-cluster-name-of-a-user-who-likes-long-names-x", "demo"])
def test_later_generation_is_found_by_the_clusters_name(monkeypatch, name):
    work = make_work(names.work_name(name, 2), tag=names.pool_name(name, "head", "0a0b0c0d"))
    monkeypatch.setattr(target, "find_last_work", lambda *_: work)
    account = SimpleNamespace(within=lambda _: None)

    found = target.find(account, Target(name, "demo"))

    assert found is not None
    assert (found.name, found.work) == (name, work)


YAML = "cluster_name: demo\nprovider: {cluster_namespace: team}\n"


def test_name_is_taken_with_the_given_namespace():
    assert parse_target("demo", None) == Target("demo", None)
    assert parse_target("demo", "team") == Target("demo", "team")


def test_given_namespace_replaces_the_yamls(tmp_path):
    file = tmp_path / "a.yml"
    file.write_text(YAML)

    assert parse_target(str(file), None) == Target("demo", "team")
    assert parse_target(str(file), "other") == Target("demo", "other")


def test_device_is_refused(tmp_path):
    (tmp_path / "a.yaml").symlink_to("/dev/zero")

    with pytest.raises(ConfigError, match="is no regular file"):
        parse_target(str(tmp_path / "a.yaml"), None)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"\xff", "cannot be read"),
        (b"a: [", "is no YAML"),
        (b"a: 2026-13-45", "is no YAML: month must be in 1..12"),
        (b"a: " + b"[" * 3_000, "is no YAML: maximum recursion depth"),
        (b"[]", "is missing"),
        (b"cluster_name: demo\nprovider: []", "is missing"),
        (b"cluster_name: 5\nprovider: {cluster_namespace: team}", "is missing"),
    ],
)
def test_file_that_is_no_raydog_yaml_is_refused_in_one_line(tmp_path, content, text):
    file = tmp_path / "a.yaml"
    file.write_bytes(content)

    with pytest.raises(ConfigError, match=text) as caught:
        parse_target(str(file), None)
    assert "\n" not in str(caught.value)


class Accounts:
    """An account whose namespaces have clusters of one name."""

    def __init__(self, *namespaces):
        self._places = namespaces
        self.platform = self

    def namespaces(self, _):
        return None

    def all_work(self, *_):
        return [SimpleNamespace(namespace=place, name="demo") for place in self._places]

    def within(self, namespace):
        return SimpleNamespace(namespace=namespace)


@pytest.fixture
def works(monkeypatch):
    monkeypatch.setattr(target, "find_last_work", lambda platform, name: SimpleNamespace(name=name))
    monkeypatch.setattr(target, "is_of", lambda work, name: work.name == name)


@pytest.mark.usefixtures("works")
def test_cluster_is_found_without_its_namespace():
    found = find(Accounts("team"), Target("demo", None))

    assert found is not None
    assert found.platform.namespace == "team"
    assert find(Accounts(), Target("demo", None)) is None


@pytest.mark.usefixtures("works")
def test_name_of_clusters_in_several_namespaces_is_ambiguous():
    with pytest.raises(ConfigError, match="namespaces a, b each have a cluster 'demo'"):
        find(Accounts("b", "a", "b"), Target("demo", None))


@pytest.mark.parametrize(
    ("namespace", "readable", "certain"),
    [("a", None, True), (None, None, False), (None, ("a", "b"), False), (None, ("a",), True)],
)
def test_cluster_found_by_its_name_alone_is_certain_in_a_single_namespace(namespace, readable, certain):
    account = SimpleNamespace(namespaces=lambda given: readable if given is None else [given])

    with nullcontext() if certain else pytest.raises(ConfigError, match="--namespace"):
        require_certain(account, Target("ray", namespace))


@pytest.mark.usefixtures("works")
def test_work_of_another_program_is_no_cluster(monkeypatch):
    monkeypatch.setattr(target, "is_of", lambda *_: False)

    assert find(Accounts("team"), Target("demo", "team")) is None
