"""Which of the marked jobs fit into the document, with their packages, and the jobs that wait for their submission."""

import logging

import pytest

from tests.yellowdog_ray.monitor.job_store import Reader
from yellowdog_ray.monitor import restartable_jobs
from yellowdog_ray.monitor.jobs_document import JobsDocument, SavedJob
from yellowdog_ray.node.kit import MAX_JOBS_BYTES
from yellowdog_ray.private_file import write_private

PACKAGE = "gcs://_ray_pkg_0123456789abcdef.zip"
OTHER_PACKAGE = "gcs://_ray_pkg_fedcba9876543210.zip"


@pytest.fixture
def reader(time, tmp_path):
    return Reader(time, tmp_path / "jobs")


@pytest.fixture
def small(monkeypatch):
    """Documents of 2,000 bytes at most."""
    monkeypatch.setattr(restartable_jobs, "MAX_JOBS_BYTES", 2_000)


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

    def test_job_whose_package_stays_away_is_left_out_with_one_warning(self, reader, caplog):
        reader.store.put_job("a", runtime_env={"working_dir": PACKAGE})

        assert [reader.names() for _ in range(3)] == [[]] * 3
        (warning,) = [entry.getMessage() for entry in caplog.records]
        assert PACKAGE in warning

    def test_job_is_kept_once_its_package_is_there(self, reader):
        reader.store.put_job("a", runtime_env={"working_dir": PACKAGE})
        assert reader.names() == []

        reader.store.put_package(PACKAGE, b"files")
        assert reader.names() == ["a"]

    def test_package_whose_transfer_fails_leaves_out_its_job_alone_with_one_warning(self, reader, caplog):
        reader.store.put_job("ending")
        assert reader.names() == ["ending"]
        reader.store.put_package(PACKAGE, b"files")
        reader.store.put_job("stuck", start_time=2, runtime_env={"working_dir": PACKAGE})
        reader.store.put_job("later", start_time=3)
        reader.store.put_job("ending", status="SUCCEEDED")
        reader.store.stuck = {PACKAGE}

        assert [reader.names() for _ in range(3)] == [["later"]] * 3
        (warning,) = [entry.getMessage() for entry in caplog.records]
        assert "the job stuck will not be submitted again" in warning
        assert f"Ray does not send its package {PACKAGE} (Deadline Exceeded)" in warning

    def test_package_in_the_document_is_not_read_again_for_another_job(self, reader):
        reader.store.put_package(PACKAGE, b"files")
        reader.store.put_job("a", runtime_env={"working_dir": PACKAGE})
        assert reader.names() == ["a"]

        reader.store.stuck = {PACKAGE}
        reader.store.put_job("b", runtime_env={"working_dir": PACKAGE})

        document = reader.read()
        assert [job.submission_id for job in document.jobs] == ["a", "b"]
        assert document.packages == {PACKAGE: "ZmlsZXM="}

    def test_job_without_its_package_is_not_lost_by_a_reading_that_fails(self, reader, monkeypatch):
        reader.store.put_package(OTHER_PACKAGE, b"files")
        reader.store.put_job("first", start_time=1, runtime_env={"working_dir": OTHER_PACKAGE})
        reader.store.put_job("a", start_time=2, runtime_env={"working_dir": PACKAGE})
        assert reader.names() == ["first"]
        with monkeypatch.context() as broken:
            broken.setattr("json.dumps", None)  # needed for the first job
            assert reader.names() == ["first"]

        reader.store.put_package(PACKAGE, b"files")
        assert reader.names() == ["first", "a"]

    def test_room_of_the_kit_is_the_limit(self, reader, caplog):
        reader.store.put_package(PACKAGE, bytes(2**20))
        reader.store.put_job("first", start_time=1)
        reader.store.put_job("second", start_time=2, runtime_env={"working_dir": PACKAGE})
        assert reader.names() == ["first", "second"]

        reader.room = 2**20
        assert reader.names() == ["first"]
        assert len(caplog.records) == 1

    def test_job_that_is_left_out_again_gets_another_warning(self, reader, caplog):
        reader.store.put_package(PACKAGE, bytes(2**20))
        reader.store.put_job("a", runtime_env={"working_dir": PACKAGE})

        for room, names in ((2**20, []), (MAX_JOBS_BYTES, ["a"]), (2**20, []), (2**20 - 1, [])):
            reader.room = room
            assert reader.names() == names

        assert len(caplog.records) == 2

    @pytest.mark.parametrize("between", [True, False])
    def test_new_job_with_the_id_of_one_that_was_left_out_gets_its_own_warning(self, reader, caplog, between):
        reader.store.put_package(PACKAGE, bytes(2**20))
        reader.room = 2**20
        reader.store.put_job("a", start_time=1, runtime_env={"working_dir": PACKAGE})
        assert reader.names() == []
        reader.store.put_job("a", start_time=1, status="FAILED", runtime_env={"working_dir": PACKAGE})
        if between:
            assert reader.names() == []

        reader.store.put_job("a", start_time=2, runtime_env={"working_dir": PACKAGE})
        assert [reader.names() for _ in range(2)] == [[], []]

        assert len(caplog.records) == 2

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
        (warning,) = [entry.getMessage() for entry in caplog.records]
        assert "the job job-2 will not be submitted again" in warning
        assert "2 jobs" in warning
        assert "MiB" not in warning

    def test_20_mib_of_packages_fit(self, reader):
        reader.store.put_package(PACKAGE, bytes(20 * 2**20))
        reader.store.put_job("a", runtime_env={"working_dir": PACKAGE})

        assert len(reader.raw()) <= MAX_JOBS_BYTES


class TestWaiting:
    """The jobs of a lost head, until the new head has submitted them."""

    def wait(self, reader, *jobs, packages=()):
        write_private(reader.waiting, JobsDocument(jobs=list(jobs), packages=dict(packages)).encode())

    def job(self, name, start_time=1, package=None):
        environment = {} if package is None else {"working_dir": package}
        return SavedJob(submission_id=name, entrypoint="x", start_time=start_time, runtime_env=environment)

    def test_waiting_jobs_are_in_the_document_with_their_packages(self, reader):
        reader.store.put_job("young", start_time=3)
        self.wait(reader, self.job("old", 2, PACKAGE), packages={PACKAGE: "MQ=="})

        document = reader.read()

        assert [job.submission_id for job in document.jobs] == ["old", "young"]
        assert document.packages == {PACKAGE: "MQ=="}

    @pytest.mark.parametrize("status", ["PENDING", "SUCCEEDED", "STOPPED"])
    def test_waiting_job_that_is_on_this_head_waits_no_more(self, reader, status):
        self.wait(reader, self.job("a"))
        assert reader.names() == ["a"]

        reader.store.put_job("a", status=status, start_time=9)

        document = reader.read()
        assert [job.start_time for job in document.jobs] == [9] if status == "PENDING" else document is None

    @pytest.mark.parametrize("content", [b"{", b"x" * (MAX_JOBS_BYTES + 1)])
    def test_file_that_cannot_be_used_hinders_no_job(self, reader, content):
        write_private(reader.waiting, content)
        reader.store.put_job("a")

        assert reader.names() == ["a"]

    def test_waiting_jobs_stay_while_their_file_cannot_be_read(self, reader):
        self.wait(reader, self.job("a"))
        assert reader.names() == ["a"]

        reader.waiting.chmod(0o666)
        assert reader.names() == ["a"]

        reader.waiting.unlink()
        assert reader.names() == []

    @pytest.mark.usefixtures("small")
    def test_younger_jobs_are_left_out_with_a_warning_where_both_do_not_fit(self, reader, caplog):
        reader.store.put_package(OTHER_PACKAGE, bytes(1_000))
        reader.store.put_job("young", start_time=9, runtime_env={"working_dir": OTHER_PACKAGE})
        self.wait(reader, self.job("old", 1, PACKAGE), self.job("tiny", 2), packages={PACKAGE: "A" * 1_000})

        assert reader.names() == ["old", "tiny"]
        (warning,) = [entry.getMessage() for entry in caplog.records]
        assert "the job young " in warning

    def test_older_jobs_are_kept_where_there_are_too_many(self, reader, monkeypatch):
        monkeypatch.setattr(restartable_jobs, "MAX_JOBS", 2)
        reader.store.put_job("young", start_time=9)
        self.wait(reader, self.job("a"), self.job("b"))

        assert reader.names() == ["a", "b"]
