"""`raydog list` and `raydog status`: all clusters, and nothing that is not one."""

import json
from contextlib import ExitStack

import pytest
import yaml

from tests.yellowdog_ray.cluster_lab import make_head
from tests.yellowdog_ray.inventory.conftest import add_strangers_pool, add_strangers_work
from yellowdog_local import faults
from yellowdog_ray.config.models import parse_provider

LIFETIME = parse_provider({"cluster_namespace": "demo"}, "cluster.yaml").lifetime


def test_list_shows_nodes_ages_and_creator_of_each_cluster(local, raydog, with_workers, make_cluster):
    with_workers("demo", 2)
    local.advance(600)
    make_head(make_cluster("young"))

    shape = raydog.json("list")

    demo, young = shape["clusters"]
    assert (demo["name"], demo["namespace"], demo["state"]) == ("demo", "demo", "up")
    assert demo["nodes"] == [
        {"type": "head", "pending": 0, "running": 1, "ended": 0},
        {"type": "cpu", "pending": 0, "running": 2, "ended": 0},
    ]
    assert demo["instances"] == {"RUNNING": 3}
    assert demo["createdBy"] == {"id": local.platform.application.id, "name": "local"}
    assert demo["ageSeconds"] == pytest.approx(606, abs=5)
    assert demo["ageSeconds"] + demo["lifetimeLeftSeconds"] == pytest.approx(LIFETIME.total_seconds())
    assert (young["name"], young["state"], young["instances"]) == ("young", "starting", {"PENDING": 1})


def test_list_prints_one_plain_line_per_cluster_in_a_pipe(raydog, with_workers):
    with_workers("demo", 2)

    result = raydog.run("list", "--namespace", "demo")

    head, line = result.stdout.splitlines()
    assert head.split()[:4] == ["CLUSTER", "NAMESPACE", "STATE", "AGE"]
    assert line.split()[:3] == ["demo", "demo", "up"]
    assert "head: 1 running; cpu: 2 running" in line
    assert result.exit_code == 0


def test_list_leaves_strangers_out_and_warns_of_pools_named_like_ours(local, raydog):
    add_strangers_work(local, "ray")
    add_strangers_work(local, "ray-2", group="work", tag="ray-head-0badcafe")
    add_strangers_pool(local, "ray")
    add_strangers_pool(local, "ray-head-0badcafe")

    result = raydog.run("list")

    assert result.exit_code == 1
    assert result.stdout == ""
    assert "no cluster is alive" in result.stderr
    assert "(ray-head-0badcafe): `raydog gc --dry-run`" in result.stderr


def test_list_takes_four_calls_and_one_per_work_requirement(local, raydog, with_workers):
    with_workers("demo", 3)
    mark = local.calls.mark()

    raydog.json("list")

    assert local.calls.count("*", since=mark) == 5


@pytest.mark.parametrize(("status", "name"), [(200, "local"), (403, None)])
def test_list_reads_the_names_of_other_creators(local, raydog, with_workers, status, name):
    """The key's application is unknown here, so the creator is another one."""
    with_workers("demo", 0)
    rules = [faults.Status(call="GET /application/", status=403)]
    rules += [faults.Status(call="GET /account/applications/*", status=403)] * (status == 403)

    with ExitStack() as stack:
        for rule in rules:
            stack.enter_context(local.faults.during(rule))
        (cluster,) = raydog.json("list")["clusters"]

    assert cluster["createdBy"] == {"id": local.platform.application.id, "name": name}


def test_list_shows_the_rest_when_one_work_requirement_cannot_be_read(local, raydog, with_workers, make_cluster):
    with_workers("demo", 0)
    make_head(make_cluster("other"))

    with local.faults.during(faults.Status(call="GET /work/requirements/*", status=403, nth=1)):
        result = raydog.run("list")

    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    assert "it may be a cluster" in result.stderr


def test_list_fails_with_one_message_when_the_key_is_refused(local, raydog, monkeypatch):
    monkeypatch.setenv("YD_API_KEY_SECRET", "wrong-secret")

    result = raydog.run("list")

    assert result.exit_code == 2
    assert result.stderr.startswith("error: YellowDog does not accept this API key")
    assert "Traceback" not in result.output


def test_status_finds_the_cluster_of_a_yaml(raydog, make_cluster, cluster_yaml, tmp_path):
    make_head(make_cluster("demo"))
    (tmp_path / "raydog.yaml").write_text(yaml.safe_dump(cluster_yaml))

    result = raydog.run("status", "raydog.yaml")

    assert result.exit_code == 0
    assert result.stdout.startswith("cluster demo in namespace demo: starting")


@pytest.mark.parametrize("options", [(), ("--namespace", "demo")])
def test_status_of_a_strangers_work_reports_no_cluster(local, raydog, options):
    add_strangers_work(local, "ray")

    result = raydog.run("status", "ray", *options)

    assert result.exit_code == 1
    assert "cluster 'ray'" in result.stderr


@pytest.mark.parametrize(
    ("argument", "phrase"),
    [("No Name", "neither a YAML nor"), ("missing.yaml", "cannot be read"), ("x.yaml", "missing")],
)
def test_status_refuses_an_argument_that_names_no_cluster(raydog, tmp_path, monkeypatch, argument, phrase):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.yaml").write_text("a: 1")

    result = raydog.run("status", argument)

    assert result.exit_code == 2
    assert phrase in result.stderr


@pytest.mark.parametrize("options", [(), ("--namespace", "demo")])
@pytest.mark.parametrize("command", ["status", "why", "events", "logs"])
@pytest.mark.usefixtures("local")
def test_json_of_a_cluster_that_does_not_exist_has_the_error(raydog, command, options):
    result = raydog.run(command, "nobody", "--json", *options)

    assert result.exit_code == 1
    shape = json.loads(result.stdout)
    assert shape["version"] == 1
    assert result.stderr == f"error: {shape['error']}\n"
    assert "cluster 'nobody'" in shape["error"]


def test_watch_prints_one_object_a_line_and_continues_after_an_outage(local, raydog, with_workers, monkeypatch):
    with_workers("demo", 0)
    outage = local.faults.during(faults.Status(call="GET /work/tasks", status=403))
    steps = iter([outage.__enter__, lambda: None, lambda: outage.__exit__(None, None, None)])

    def sleep(_):
        next(steps, interrupt)()

    def interrupt():
        raise KeyboardInterrupt

    monkeypatch.setattr("raydog_cli.clusters.time.sleep", sleep)

    result = raydog.run("status", "demo", "--watch", "--json")

    assert result.exit_code == 0
    assert [json.loads(line)["cluster"]["name"] for line in result.stdout.splitlines()] == ["demo", "demo"]
    assert result.stderr.count("warning: not read, and tried again: ") == 1


@pytest.mark.usefixtures("local")
def test_watch_repeats_until_it_is_interrupted(raydog, with_workers, monkeypatch):
    with_workers("demo", 0)
    pauses = iter([None])

    def sleep(_):
        if next(pauses, "interrupted"):
            raise KeyboardInterrupt

    monkeypatch.setattr("raydog_cli.clusters.time.sleep", sleep)

    result = raydog.run("status", "demo", "--watch")

    assert result.exit_code == 0
    assert result.stdout.count("cluster demo in namespace demo: up") == 2
