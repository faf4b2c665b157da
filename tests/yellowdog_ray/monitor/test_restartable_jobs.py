"""Which jobs a new head is to submit again, from the records of Ray's job server."""

import base64
import json
import logging
import threading
import time

import pytest
from ray.exceptions import RpcError

from tests.yellowdog_ray.monitor.job_store import JOBS, Reader, Store
from yellowdog_ray.monitor import restartable_jobs
from yellowdog_ray.monitor.jobs_document import JobsDocument, JobsPendingError, SavedJob
from yellowdog_ray.monitor.restartable_jobs import POLL_SECONDS, UNREAD_SECONDS, RestartableJobs
from yellowdog_ray.private_file import write_private

PACKAGE = "gcs://_ray_pkg_0123456789abcdef.zip"
OTHER_PACKAGE = "gcs://_ray_pkg_fedcba9876543210.zip"


@pytest.fixture
def reader(time, tmp_path):
    return Reader(time, tmp_path / "jobs")


def test_marked_job_has_everything_that_its_submission_needs(reader):
    reader.store.put_package(PACKAGE, b"files")
    reader.store.put_job(
        "a",
        status="PENDING",
        metadata={"raydog-restart": "true", "owner": "me"},
        runtime_env={"working_dir": PACKAGE, "pip": {"packages": ["numpy"], "pip_check": False}},
        entrypoint_num_cpus=0.5,
        entrypoint_num_gpus=1,
        entrypoint_memory=10**9,
        entrypoint_resources={"disk": 1.0},
        entrypoint_label_selector={"zone": "a"},
    )

    assert json.loads(reader.raw()) == {
        "version": 1,
        "jobs": [
            {
                "submission_id": "a",
                "entrypoint": "python job.py",
                "start_time": 1,
                "runtime_env": {"working_dir": PACKAGE, "pip": {"packages": ["numpy"], "pip_check": False}},
                "metadata": {"raydog-restart": "true", "owner": "me"},
                "entrypoint_num_cpus": 0.5,
                "entrypoint_num_gpus": 1,
                "entrypoint_memory": 10**9,
                "entrypoint_resources": {"disk": 1.0},
                "entrypoint_label_selector": {"zone": "a"},
            }
        ],
        "packages": {PACKAGE: base64.b64encode(b"files").decode()},
    }


def test_store_without_marked_jobs_gives_no_document(reader):
    reader.store.put_job("unmarked", marker=None)
    reader.store.put_job("declined", marker="false")
    reader.store.put_job("ended", status="SUCCEEDED")

    assert reader.raw() is None


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "STOPPED"])
def test_job_leaves_the_document_when_it_ends(reader, status):
    reader.store.put_job("a")
    reader.store.put_job("b")
    assert reader.names() == ["a", "b"]

    reader.store.put_job("a", status=status)
    assert reader.names() == ["b"]

    reader.store.put_job("b", status=status)
    assert reader.raw() is None


def test_jobs_are_in_the_order_of_their_submission(reader):
    reader.store.put_job("a", start_time=3)
    reader.store.put_job("b", start_time=1)
    reader.store.put_job("c", start_time=2)

    assert reader.names() == ["b", "c", "a"]


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"status": "RUNNING"}',
        b'{"status": "RUNNING", "metadata": "raydog-restart"}',
    ],
)
def test_record_of_another_form_is_left_out(reader, caplog, record):
    reader.store.values[JOBS, b"_ray_internal_job_info_strange"] = record
    reader.store.put_job("a")

    assert reader.names() == ["a"]
    assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    "record",
    [
        b'{"status": "RUNNING", "metadata": {"raydog-restart": "true"}}',
        b'{"status": "RUNNING", "metadata": {"raydog-restart": "true", "secret": 7}, "entrypoint": "x"}',
        b'{"status": "RUNNING", "metadata": {"raydog-restart": "true"}, "entrypoint": 7}',
        b'{"status": "RUNNING", "metadata": {"raydog-restart": "true"}, "entrypoint": "x", "runtime_env_json": %s}'
        % json.dumps('{"env_vars": {"HALF": "\\ud800"}}').encode(),
        b'{"status": "RUNNING", "metadata": {"raydog-restart": "true"}, "entrypoint": "x", "runtime_env_json": "[1]"}',
        b'{"status": "RUNNING", "metadata": {"raydog-restart": "true"}, "entrypoint": "x", "runtime_env_json": "[["}',
    ],
)
def test_marked_job_whose_record_cannot_be_used_is_left_out_with_one_warning(reader, caplog, record):
    reader.store.values[JOBS, b"_ray_internal_job_info_strange"] = record
    reader.store.put_job("a")

    assert [reader.names() for _ in range(3)] == [["a"]] * 3
    (warning,) = [entry.getMessage() for entry in caplog.records]
    assert "the job strange will not be submitted again" in warning
    assert "input" not in warning


class TestRequests:
    """The requests to Ray's control store."""

    def test_store_is_read_at_most_once_in_20_seconds(self, reader, time):
        reader.store.put_job("a")
        reader.read()
        before = list(reader.store.requests)

        for _ in range(4):
            time.now += POLL_SECONDS / 5
            reader.jobs.document()
            reader.jobs.close()

        assert reader.store.requests == before

    def test_unmarked_and_ended_jobs_are_read_again_in_turn(self, reader, monkeypatch):
        monkeypatch.setattr(restartable_jobs, "MAX_READ_AGAIN", 2)
        for number in range(3):
            reader.store.put_job(f"ended-{number}", status="FAILED")
        reader.read()
        before = len(reader.store.requests)

        for _ in range(3):
            reader.read()
        again = [keys for name, keys in reader.store.requests[before:] if name == "multi_get"]
        assert [len(keys) for keys in again] == [2, 2, 2]
        assert len({key for keys in again[:2] for key in keys}) == 3

    @pytest.mark.parametrize("first", [{"status": "SUCCEEDED"}, {"marker": None}])
    def test_marked_job_is_read_whose_id_was_used_again_between_two_readings(self, reader, first):
        reader.store.put_job("a", **first)
        assert reader.names() == []

        reader.store.put_job("a", status="PENDING")
        assert reader.names() == ["a"]

    def test_marked_job_with_the_id_of_a_deleted_one_is_read(self, reader):
        reader.store.put_job("a", status="FAILED")
        assert reader.names() == []
        reader.store.values.clear()
        assert reader.names() == []

        reader.store.put_job("a")
        assert reader.names() == ["a"]

    def test_package_is_read_once_while_the_jobs_stay(self, reader):
        reader.store.put_package(PACKAGE, b"files")
        reader.store.put_job("a", runtime_env={"working_dir": PACKAGE})

        documents = [reader.raw() for _ in range(3)]

        assert len(set(documents)) == 1
        assert [what for name, what in reader.store.requests if name == "get"] == [PACKAGE.encode()]

    def test_first_document_is_complete(self, reader, monkeypatch):
        reader.store.put_job("a")
        read_keys = reader.store.internal_kv_keys
        monkeypatch.setattr(reader.store, "internal_kv_keys", lambda *wanted: time.sleep(0.2) or read_keys(*wanted))

        assert b'"a"' in (reader.jobs.document() or b"")

    def test_store_that_does_not_answer_blocks_nothing(self, time, monkeypatch):
        answered = threading.Event()
        connections = []

        def connect():
            connections.append(1)
            answered.wait()
            return Store()

        monkeypatch.setattr(restartable_jobs, "FIRST_SECONDS", 0.1)
        jobs = RestartableJobs(time, connect)
        for _ in range(3):
            with pytest.raises(JobsPendingError):
                jobs.document()
            time.now += POLL_SECONDS
        answered.set()
        jobs.close()

        assert connections == [1]

    def test_last_document_stands_without_an_answer(self, reader, caplog):
        reader.store.put_job("a")
        assert reader.names() == ["a"]

        reader.store.error = RpcError("down")
        assert reader.names() == ["a"]
        assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []

        reader.store.error = None
        reader.store.put_job("a", status="FAILED")
        assert reader.names() == []

    def test_unexpected_error_is_logged_once(self, reader, caplog):
        reader.store.error = TypeError("another Ray")

        for _ in range(3):
            with pytest.raises(JobsPendingError):
                reader.raw()
        (record,) = caplog.records
        assert record.levelno == logging.WARNING

    def test_package_whose_transfer_failed_is_read_again(self, reader, caplog):
        reader.store.put_job("a", runtime_env={"working_dir": PACKAGE})
        reader.store.put_package(PACKAGE, b"files")
        reader.store.stuck = {PACKAGE}
        assert reader.names() == []

        reader.store.stuck = set()
        assert reader.names() == ["a"]
        assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []


class TestUnread:
    """A control store that does not show its jobs for long."""

    def pass_time(self, reader):
        reader.time.now += UNREAD_SECONDS - POLL_SECONDS

    def test_last_document_stands_with_one_warning_for_each_outage(self, reader, caplog):
        reader.store.put_job("a")
        for number in range(1, 3):
            reader.store.error = None
            assert reader.names() == ["a"]
            reader.store.error = RpcError("down\nfor long")
            assert reader.names() == ["a"]
            self.pass_time(reader)
            assert len(caplog.records) == number - 1

            assert [reader.names() for _ in range(3)] == [["a"]] * 3
            assert len(caplog.records) == number
        assert "has not shown its jobs for 5 minutes (down for long)" in caplog.records[0].getMessage()

    def test_warning_follows_although_the_store_never_answers(self, time, monkeypatch, caplog):
        answered = threading.Event()
        monkeypatch.setattr(restartable_jobs, "FIRST_SECONDS", 0.1)
        jobs = RestartableJobs(time, lambda: answered.wait() and Store())
        with pytest.raises(JobsPendingError):
            jobs.document()
        time.now += UNREAD_SECONDS
        assert jobs.document() is None
        answered.set()
        jobs.close()

        (warning,) = [entry.getMessage() for entry in caplog.records]
        assert "(no answer)" in warning

    def test_jobs_that_wait_are_in_the_document_of_a_store_that_was_never_read(self, reader):
        write_private(reader.waiting, JobsDocument(jobs=[SavedJob(submission_id="a", entrypoint="x")]).encode())
        reader.store.error = RpcError("down")
        with pytest.raises(JobsPendingError):
            reader.read()
        self.pass_time(reader)

        assert reader.names() == ["a"]

    def test_no_document_is_given_before_the_first_complete_reading(self, reader):
        reader.store.put_job("a")
        reader.store.error = RpcError("down")
        with pytest.raises(JobsPendingError):
            reader.read()

        reader.store.error = None
        assert reader.names() == ["a"]
