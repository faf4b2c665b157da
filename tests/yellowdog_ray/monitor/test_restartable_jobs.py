"""Which jobs a new head is to submit again, from the records of Ray's job server."""

import base64
import json
import logging
import threading

import pytest
from ray.exceptions import RpcError

from tests.yellowdog_ray.monitor.job_store import JOBS, Store
from yellowdog_ray.monitor import restartable_jobs
from yellowdog_ray.monitor.jobs_document import MAX_BYTES, JobsDocument
from yellowdog_ray.monitor.restartable_jobs import POLL_SECONDS, RestartableJobs

PACKAGE = "gcs://_ray_pkg_0123456789abcdef.zip"
OTHER_PACKAGE = "gcs://_ray_pkg_fedcba9876543210.zip"


class Reader:
    """The jobs of a store, read when a test says so."""

    def __init__(self, time):
        self.store = Store()
        self.time = time
        self.jobs = RestartableJobs(time, lambda: self.store)

    def raw(self):
        self.time.now += POLL_SECONDS
        self.jobs.document()
        self.jobs.close()
        return self.jobs.document()

    def read(self):
        raw = self.raw()
        return None if raw is None else JobsDocument.model_validate_json(raw)

    def names(self):
        document = self.read()
        return [job.submission_id for job in document.jobs] if document else []


@pytest.fixture
def reader(time):
    return Reader(time)


@pytest.fixture
def small(monkeypatch):
    """Documents of 2,000 bytes at most."""
    monkeypatch.setattr(restartable_jobs, "MAX_BYTES", 2_000)


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
        b'{"status": "RUNNING", "metadata": {"raydog-restart": "true"}}',
        b'{"status": "RUNNING", "metadata": {"raydog-restart": "true"}, "entrypoint": 7}',
        b'{"status": "RUNNING", "metadata": {"raydog-restart": "true"}, "entrypoint": "x", "runtime_env_json": %s}'
        % json.dumps('{"env_vars": {"HALF": "\\ud800"}}').encode(),
        b'{"status": "RUNNING", "metadata": {"raydog-restart": "true"}, "entrypoint": "x", "runtime_env_json": "[1]"}',
        b'{"status": "RUNNING", "metadata": {"raydog-restart": "true"}, "entrypoint": "x", "runtime_env_json": "[["}',
    ],
)
def test_record_of_another_form_is_left_out(reader, caplog, record):
    reader.store.values[JOBS, b"_ray_internal_job_info_strange"] = record
    reader.store.put_job("a")

    assert reader.names() == ["a"]
    assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []


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

    def test_unmarked_and_ended_jobs_are_read_once(self, reader):
        reader.store.put_job("unmarked", marker=None)
        reader.store.put_job("ended", status="FAILED")
        reader.read()
        before = len(reader.store.requests)

        reader.read()
        assert [name for name, _ in reader.store.requests[before:]] == ["keys"]

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

    def test_store_that_does_not_answer_blocks_nothing(self, time):
        answered = threading.Event()
        connections = []

        def connect():
            connections.append(1)
            answered.wait()
            return Store()

        jobs = RestartableJobs(time, connect)
        for _ in range(3):
            assert jobs.document() is None
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

        assert [reader.raw() for _ in range(3)] == [None] * 3
        (record,) = caplog.records
        assert record.levelno == logging.WARNING

    def test_package_whose_transfer_failed_is_read_again(self, reader, monkeypatch):
        reader.store.put_job("a", runtime_env={"working_dir": PACKAGE})
        reader.store.put_package(PACKAGE, b"files")

        def fail(*_):
            raise RpcError("down")

        with monkeypatch.context() as broken:
            broken.setattr(reader.store, "internal_kv_get", fail)
            assert reader.names() == []
        assert reader.names() == ["a"]


class TestPackages:
    """The files that Ray's client has uploaded for the jobs."""

    def test_package_of_several_jobs_is_carried_once(self, reader):
        reader.store.put_package(PACKAGE, b"files")
        reader.store.put_package(OTHER_PACKAGE, b"modules")
        reader.store.put_job("a", runtime_env={"working_dir": PACKAGE, "py_modules": [OTHER_PACKAGE, PACKAGE]})
        reader.store.put_job("b", runtime_env={"working_dir": PACKAGE, "py_modules": ["s3://bucket/remote.zip"]})

        document = reader.read()

        assert document.packages.keys() == {PACKAGE, OTHER_PACKAGE}
        assert [name for name, _ in reader.store.requests].count("get") == 2

    def test_remote_files_need_no_package(self, reader):
        reader.store.put_job("a", runtime_env={"working_dir": "s3://bucket/files.zip"})

        assert reader.read().packages == {}

    def test_job_whose_package_is_gone_is_left_out_without_a_warning(self, reader, caplog):
        reader.store.put_job("ending", runtime_env={"working_dir": PACKAGE})
        reader.store.put_job("other")

        assert reader.names() == ["other"]
        assert [entry for entry in caplog.records if entry.levelno >= logging.WARNING] == []

    @pytest.mark.usefixtures("small")
    def test_job_that_does_not_fit_is_left_out_with_one_warning(self, reader, caplog):
        reader.store.put_package(PACKAGE, b"x" * 1_000)
        reader.store.put_package(OTHER_PACKAGE, b"y" * 1_000)
        reader.store.put_job("first", start_time=1, runtime_env={"working_dir": PACKAGE})
        reader.store.put_job("second\x1b[2J", start_time=2, runtime_env={"working_dir": OTHER_PACKAGE})
        reader.store.put_job("third", start_time=3, runtime_env={"working_dir": PACKAGE})

        assert reader.names() == ["first", "third"]
        reader.store.put_job("fourth", start_time=4)
        assert reader.names() == ["first", "third", "fourth"]

        (record,) = caplog.records
        assert "the job second\\x1b[2J will not be submitted again" in record.getMessage()
        assert "remote `working_dir`" in record.getMessage()

    @pytest.mark.usefixtures("small")
    def test_job_fits_when_an_earlier_one_has_ended(self, reader):
        reader.store.put_package(PACKAGE, b"x" * 1_000)
        reader.store.put_package(OTHER_PACKAGE, b"y" * 1_000)
        reader.store.put_job("first", start_time=1, runtime_env={"working_dir": PACKAGE})
        reader.store.put_job("second", start_time=2, runtime_env={"working_dir": OTHER_PACKAGE})
        assert reader.names() == ["first"]

        reader.store.put_job("first", status="SUCCEEDED")

        assert reader.names() == ["second"]

    @pytest.mark.usefixtures("small")
    def test_package_that_never_fits_is_read_once(self, reader):
        reader.store.put_package(PACKAGE, b"x" * 2_000)
        reader.store.put_job("large", runtime_env={"working_dir": PACKAGE})

        for number in range(3):
            reader.store.put_job(f"small-{number}", start_time=2)
            assert len(reader.names()) == number + 1

        assert [name for name, _ in reader.store.requests].count("get") == 1

    @pytest.mark.usefixtures("small")
    def test_package_that_never_fits_is_not_encoded(self, reader, monkeypatch):
        reader.store.put_package(PACKAGE, b"x" * 2_000)
        reader.store.put_job("large", runtime_env={"working_dir": PACKAGE})
        reader.store.put_job("small")
        monkeypatch.setattr("base64.b64encode", None)

        assert reader.names() == ["small"]

    @pytest.mark.usefixtures("small")
    def test_job_that_is_submitted_anew_is_judged_anew(self, reader, caplog):
        for _ in range(2):
            reader.store.put_package(PACKAGE, b"x" * 2_000)
            reader.store.put_job("a", runtime_env={"working_dir": PACKAGE})
            assert reader.names() == []
            reader.store.values.clear()
            assert reader.names() == []

        assert len(caplog.records) == 2
        assert [name for name, _ in reader.store.requests].count("get") == 2

    @pytest.mark.usefixtures("small")
    @pytest.mark.parametrize("name", ["a", "ä"])
    @pytest.mark.parametrize("size", [0, 1, 2, 3, 40])
    def test_document_reaches_its_limit_and_never_exceeds_it(self, reader, name, size):
        for number in range(40):
            uri = f'gcs://{name}"{number}.zip'
            reader.store.put_package(uri, bytes(size))
            reader.store.put_job(f"{name}-{number}", start_time=number, runtime_env={"py_modules": [uri]})

        assert 1_700 < len(reader.raw()) <= 2_000

    def test_jobs_above_the_most_are_left_out_with_a_warning(self, reader, monkeypatch, caplog):
        monkeypatch.setattr(restartable_jobs, "MAX_JOBS", 2)
        for number in range(3):
            reader.store.put_job(f"job-{number}")

        assert reader.names() == ["job-0", "job-1"]
        assert "job-2" in caplog.text

    def test_20_mib_of_packages_fit(self, reader):
        reader.store.put_package(PACKAGE, bytes(20 * 2**20))
        reader.store.put_job("a", runtime_env={"working_dir": PACKAGE})

        assert len(reader.raw()) <= MAX_BYTES
