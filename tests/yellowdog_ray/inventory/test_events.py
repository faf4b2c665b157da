"""`raydog events` and `raydog logs`: the past that the platform keeps, and what it does not."""

from datetime import timedelta

from tests.yellowdog_ray.inventory.conftest import publish
from yellowdog_ray import names
from yellowdog_ray.cluster.journal import Act, Decision


def test_events_are_a_timeline_of_work_pools_machines_and_tasks(raydog, with_failed_worker):
    events = raydog.json("events", "demo")["events"]

    times = [event["time"] for event in events if event["time"]]
    assert times == sorted(times)
    texts = [event["event"] for event in events if event["node"] == with_failed_worker]
    assert [text.split(" ")[0] for text in texts[:3]] == ["instance", "machine", "its"]
    assert any("exit code 3" in text for text in texts)
    assert "its task ended: failed" in texts
    assert {"created", "provisioned"} <= {event["event"] for event in events}


def test_published_decisions_are_part_of_the_timeline_also_after_the_head(local, raydog, with_workers):
    cluster = with_workers("demo", 0)
    local.advance(10)
    now = cluster.platform.clock.now()
    launched = Decision(now, Act.LAUNCHED, "cpu", 1, ("cpu-1",), "", "requested by Ray's autoscaler")
    failed = Decision(now + timedelta(seconds=1), Act.BACKED_OFF, "gpu", 0, (), "NotFound", "no such template")
    publish(cluster, launched)
    local.advance(1)
    publish(cluster, launched, failed)  # its first publication was taken for failed
    cluster.platform.cancel_work_requirement(cluster.find().id)
    local.advance(60)

    shape = raydog.json("events", "demo", "--namespace", "demo")

    published = [event for event in shape["events"] if event["subject"].startswith("autoscaler")]
    assert [event["event"] for event in published] == [
        "launched 1 node of type cpu: requested by Ray's autoscaler (cpu-1)",
        "backed off: NotFound: no such template",
    ]
    assert published[0]["node"] == "cpu-1"
    assert [event["event"] for event in shape["events"] if event["event"] == "cancelled"]
    assert "15 at most" in shape["notKept"][0]


def test_publications_that_cannot_be_read_are_counted(raydog, with_workers):
    cluster = with_workers("demo", 0)
    publish(cluster)
    tag = names.state_tag(cluster.groups[0].worker_tag)
    cluster.platform.create_document(names.new_state_name(names.token_of(tag)), tag, "somebody else's")

    events = raydog.json("events", "demo")["events"]

    assert "1 publications of the head were not read" in [event["event"] for event in events]


def test_logs_of_a_living_node_name_the_file_on_its_machine(raydog, with_workers):
    head = with_workers("demo", 0).refresh().head

    (log,) = raydog.json("logs", "demo", head.id)["nodes"]

    assert log["output"].startswith("/var/opt/yellowdog/agent/data/workers/ydid_task")
    assert log["errors"] == []
