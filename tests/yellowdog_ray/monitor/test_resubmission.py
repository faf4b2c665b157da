"""Jobs of a lost head on the head that replaces it."""

import base64
import errno
import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.yellowdog_ray.monitor.job_store import Store
from yellowdog_ray.monitor.jobs_document import JobsDocument, SavedJob, read
from yellowdog_ray.monitor.resubmission import FIRST_SECONDS, LONGEST_SECONDS, MINUTES, Resubmission
from yellowdog_ray.node.kit import HEAD_JOBS, MAX_JOBS_BYTES
from yellowdog_ray.private_file import make_private_folder, shorten_private, write_private

PACKAGE = "gcs://_ray_pkg_0123456789abcdef.zip"


class JobServer:
    """Ray's job server: refuses an id that it has, takes its time, and fails when a test says so."""

    def __init__(self, clock):
        self.clock = clock
        self.jobs = {}
        self.unreachable = 0
        self.failing = {}
        self.lost_answers = 0
        self.seconds = 0
        self.observe = lambda: None

    def connect(self):
        if self.unreachable:
            self.unreachable -= 1
            raise ConnectionError("Failed to connect to Ray")
        return self

    def list_jobs(self):
        return [SimpleNamespace(submission_id=name) for name in (None, *self.jobs)]

    def submit_job(self, *, submission_id, **arguments):
        self.observe()
        self.clock.pass_time(self.seconds)
        if self.failing.get(submission_id):
            self.failing[submission_id] -= 1
            raise RuntimeError("Request failed with status code 500:\nNo available agent" + 1_000 * " again")
        if submission_id in self.jobs:
            raise RuntimeError(f"Job with submission_id {submission_id} already exists.")
        self.jobs[submission_id] = arguments
        if self.lost_answers:
            self.lost_answers -= 1
            raise TimeoutError("read timed out")


class Clock:
    """Time that passes in pauses, and when a test says so."""

    def __init__(self):
        self.pauses = []
        self.passed = 1000.0

    def monotonic(self):
        return self.passed + sum(self.pauses)

    def pass_time(self, seconds):
        self.passed += seconds

    def sleep(self, seconds):
        self.pauses.append(seconds)


class Head:
    """A new head with the document of these jobs."""

    def __init__(self, home):
        self.home = home
        self.file = home / HEAD_JOBS
        self.clock = Clock()
        self.server = JobServer(self.clock)
        self.store = Store()
        make_private_folder(self.file.parent)

    def put(self, *names, packages=()):
        environment = {"working_dir": PACKAGE} if packages else {}
        jobs = [SavedJob(submission_id=name, entrypoint=f"python {name}.py", runtime_env=environment) for name in names]
        write_private(self.file, JobsDocument(jobs=jobs, packages=dict(packages)).encode())

    def resubmission(self):
        return Resubmission(self.home, self.clock, self.server.connect, lambda: self.store)

    def run(self):
        self.resubmission().run()


@pytest.fixture
def head(tmp_path, caplog):
    caplog.set_level(logging.INFO, "yellowdog_ray")
    return Head(tmp_path)


def test_every_job_is_submitted_with_its_id_and_arguments(head, caplog):
    job = SavedJob(
        submission_id="a",
        entrypoint="python a.py",
        start_time=5,
        runtime_env={"working_dir": PACKAGE},
        metadata={"raydog-restart": "true"},
        entrypoint_num_cpus=0.5,
        entrypoint_memory=0,
    )
    document = JobsDocument(jobs=[job], packages={PACKAGE: base64.b64encode(b"files").decode()})
    write_private(head.file, document.encode())

    head.run()

    assert head.server.jobs == {
        "a": {
            "entrypoint": "python a.py",
            "runtime_env": {"working_dir": PACKAGE},
            "metadata": {"raydog-restart": "true"},
            "entrypoint_num_cpus": 0.5,
            "entrypoint_memory": 0,
        }
    }
    assert head.store.values == {(None, PACKAGE.encode()): b"files"}
    assert [record.getMessage() for record in caplog.records] == ["the job a has been submitted again"]
    assert not head.file.exists()


def test_head_without_a_document_starts_nothing(head):
    resubmission = head.resubmission()
    resubmission.start()
    resubmission.run()

    assert resubmission._thread is None
    assert (head.clock.pauses, head.store.requests) == ([], [])


def test_start_submits_in_a_thread_of_its_own(head):
    head.put("a", "b")
    resubmission = head.resubmission()

    resubmission.tick(None)
    resubmission.close()
    resubmission.tick(None)

    assert list(head.server.jobs) == ["a", "b"]


def test_job_that_exists_is_done(head, caplog):
    head.put("a", "b")
    head.server.jobs["a"] = "of the user"

    head.run()

    assert head.server.jobs["a"] == "of the user"
    assert [record.getMessage() for record in caplog.records] == [
        "the job a is on this head already",
        "the job b has been submitted again",
    ]
    assert not head.file.exists()


def test_job_whose_answer_was_lost_is_submitted_once(head):
    head.put("a")
    head.server.lost_answers = 1

    head.run()

    assert list(head.server.jobs) == ["a"]
    assert head.clock.pauses == [FIRST_SECONDS]
    assert not head.file.exists()


def test_server_that_starts_late_is_tried_with_longer_and_longer_pauses(head):
    head.put("a")
    head.server.unreachable = 6

    head.run()

    assert head.clock.pauses == [2, 4, 8, 16, LONGEST_SECONDS, LONGEST_SECONDS]
    assert list(head.server.jobs) == ["a"]


def test_failing_job_does_not_hinder_the_others(head, caplog):
    head.put("a", "b", "c")
    head.server.failing["b"] = 1

    head.run()

    assert list(head.server.jobs) == ["a", "c", "b"]
    assert len(caplog.records) == 3
    assert not head.file.exists()


def test_file_has_only_what_is_left_after_the_time(head, caplog):
    head.put("a", "refused\x1b[2J", packages={PACKAGE: base64.b64encode(b"files").decode()}.items())
    head.server.failing["refused\x1b[2J"] = 10_000

    head.run()

    assert MINUTES * 60 - LONGEST_SECONDS < sum(head.clock.pauses) <= MINUTES * 60
    left = read(head.file)
    assert [job.submission_id for job in left.jobs] == ["refused\x1b[2J"]
    assert left.packages.keys() == {PACKAGE}
    warning = caplog.records[-1]
    assert warning.levelno == logging.WARNING
    assert "the job refused\\x1b[2J could not be submitted again within 10 minutes" in warning.getMessage()
    assert "(Request failed with status code 500: No available agent again" in warning.getMessage()
    assert len(warning.getMessage()) < 600


def test_next_process_continues_and_repeats_no_job(head):
    head.put("a", "b")
    head.server.failing["b"] = 10_000
    head.run()
    del head.server.jobs["a"], head.server.failing["b"]  # its user has deleted the first one

    head.run()

    assert list(head.server.jobs) == ["b"]
    assert not head.file.exists()


def test_file_loses_submitted_jobs_during_a_long_round(head):
    head.put("a", "b", "c", "d")
    head.server.failing["a"] = 1
    head.server.seconds = 10
    left = []
    head.server.observe = lambda: left.append([job.submission_id for job in read(head.file).jobs])

    head.run()

    assert left[:4] == [["a", "b", "c", "d"], ["a", "b", "c", "d"], ["a", "c", "d"], ["a", "d"]]


def test_file_is_not_written_after_each_of_many_fast_submissions(head, monkeypatch):
    head.put(*map(str, range(20)))
    head.server.seconds = 1
    writes = []
    monkeypatch.setattr("yellowdog_ray.monitor.resubmission.write_private", lambda *_: writes.append(1))

    head.run()

    assert len(writes) == 1


class TestFullDisk:
    """A head on which the file cannot be written anew."""

    MODULE = "yellowdog_ray.monitor.resubmission"

    @staticmethod
    def fail(*_, **_how):
        raise OSError(errno.ENOSPC, "No space left on device")

    def test_file_loses_submitted_jobs_in_its_place(self, head, monkeypatch, caplog):
        head.put("a", "b")
        head.server.failing["b"] = 10_000
        monkeypatch.setattr(f"{self.MODULE}.write_private", self.fail)

        head.run()

        assert [job.submission_id for job in read(head.file).jobs] == ["b"]
        assert "No space" not in caplog.text

    @pytest.mark.parametrize("unreachable", [0, 1])
    def test_file_that_cannot_be_written_is_written_in_a_later_round_with_one_warning(
        self, head, monkeypatch, caplog, unreachable
    ):
        head.put("a", "b")
        head.server.failing["b"] = 10_000
        monkeypatch.setattr(f"{self.MODULE}.write_private", self.fail)
        failures = iter((self.fail, self.fail))
        monkeypatch.setattr(f"{self.MODULE}.shorten_private", lambda *file: next(failures, shorten_private)(*file))
        sleep = head.clock.sleep
        monkeypatch.setattr(
            head.clock, "sleep", lambda seconds: sleep(seconds) or setattr(head.server, "unreachable", unreachable)
        )

        head.run()

        assert [job.submission_id for job in read(head.file).jobs] == ["b"]
        assert [record.getMessage() for record in caplog.records if "No space" in record.getMessage()] == [
            f"{head.file} still has jobs that have been submitted: [Errno 28] No space left on device"
        ]

    def test_file_that_cannot_be_removed_is_removed_in_a_later_round(self, head, monkeypatch):
        head.put("a")
        failures = iter((self.fail,))
        unlink = Path.unlink
        monkeypatch.setattr(Path, "unlink", lambda *file, **how: next(failures, unlink)(*file, **how))

        head.run()

        assert not head.file.exists()
        assert list(head.server.jobs) == ["a"]


def test_job_without_its_package_is_not_submitted(head, caplog):
    job = SavedJob(submission_id="a", entrypoint="x", runtime_env={"working_dir": PACKAGE})
    write_private(head.file, JobsDocument(jobs=[job], packages={}).encode())

    head.run()

    assert head.server.jobs == {}
    assert PACKAGE in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"[" * 100_000,
        b'{"version": 2, "jobs": []}',
        b'{"version": 1, "jobs": [{"submission_id": "", "entrypoint": "x"}]}',
        b'{"version": 1, "jobs": [{"submission_id": "a"}]}',
        b'{"version": 1, "jobs": [], "packages": {"gcs://a.zip": 7}}',
        b" " * (MAX_JOBS_BYTES + 1),
    ],
)
def test_file_of_another_form_is_left_alone(head, caplog, content):
    write_private(head.file, content)

    head.run()

    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert len(record.getMessage()) < 600
    assert (head.server.jobs, head.file.read_bytes()) == ({}, content)


def test_file_that_others_may_write_is_left_alone(head, caplog):
    head.put("a")
    head.file.chmod(0o666)

    head.run()

    assert head.server.jobs == {}
    assert "cannot be submitted again" in caplog.text
