"""`raydog events` and `raydog logs`: the past that the platform keeps, and what it does not."""


def test_events_are_a_timeline_of_work_pools_machines_and_tasks(raydog, with_failed_worker):
    events = raydog.json("events", "demo")["events"]

    times = [event["time"] for event in events if event["time"]]
    assert times == sorted(times)
    texts = [event["event"] for event in events if event["node"] == with_failed_worker]
    assert [text.split(" ")[0] for text in texts[:3]] == ["instance", "machine", "its"]
    assert any("exit code 3" in text for text in texts)
    assert "its task ended: failed" in texts
    assert {"created", "provisioned"} <= {event["event"] for event in events}


def test_logs_of_a_living_node_name_the_file_on_its_machine(raydog, with_workers):
    head = with_workers("demo", 0).refresh().head

    (log,) = raydog.json("logs", "demo", head.id)["nodes"]

    assert log["output"].startswith("/var/opt/yellowdog/agent/data/workers/ydid_task")
    assert log["errors"] == []
