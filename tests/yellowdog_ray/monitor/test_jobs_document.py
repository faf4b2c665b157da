"""The document of jobs that are submitted again."""

import pytest

from yellowdog_ray.monitor.jobs_document import MAX_BYTES, JobsDocument, SavedJob, read, with_waiting
from yellowdog_ray.private_file import write_private

FILES, MODULE, OTHER = "gcs://_ray_pkg_01.zip", "gcs://mine-1.0-py3-none-any.whl", "gcs://_ray_pkg_02.zip"


def job(name="a", **environment):
    return SavedJob(submission_id=name, entrypoint="python job.py", runtime_env=environment)


@pytest.mark.parametrize(
    ("environment", "packages"),
    [
        ({}, []),
        ({"working_dir": FILES}, [FILES]),
        ({"working_dir": FILES, "py_modules": [MODULE, FILES]}, [FILES, MODULE]),
        ({"working_dir": "s3://bucket/files.zip", "py_modules": ["https://host/module.zip"]}, []),
        ({"working_dir": None, "py_modules": None}, []),
        ({"working_dir": 7, "py_modules": [7, MODULE]}, [MODULE]),
        ({"pip": {"packages": [FILES]}}, []),
    ],
)
def test_uploaded_packages_are_found_in_a_runtime_environment(environment, packages):
    assert job(**environment).packages() == packages


def test_part_of_a_document_has_the_packages_of_its_jobs():
    first, second = job("a", working_dir=FILES), job("b", working_dir=FILES, py_modules=[OTHER])
    document = JobsDocument(jobs=[first, second], packages={FILES: "MQ==", OTHER: "Mg=="})

    assert document.of([first]) == JobsDocument(jobs=[first], packages={FILES: "MQ=="})
    assert document.of([second]) == JobsDocument(jobs=[second], packages=document.packages)
    assert document.of([]) == JobsDocument(jobs=[])


def test_document_is_read_as_it_was_written(tmp_path):
    saved = SavedJob(
        submission_id="a", entrypoint="x", runtime_env={"env_vars": {"A": "ä"}, "config": None}, entrypoint_num_cpus=1
    )
    document = JobsDocument(jobs=[saved], packages={FILES: "MQ=="})
    write_private(tmp_path / "jobs", document.encode())

    assert read(tmp_path / "jobs") == document


class TestWaiting:
    """The jobs of a lost head, until the new head has submitted them."""

    WAITING = JobsDocument(
        jobs=[job("a", working_dir=FILES), job("b", working_dir=OTHER)], packages={FILES: "MQ==", OTHER: "Mg=="}
    )

    @pytest.fixture
    def file(self, tmp_path):
        write_private(tmp_path / "jobs", self.WAITING.encode())
        return tmp_path / "jobs"

    def test_waiting_jobs_are_in_the_document_too(self, file):
        current = JobsDocument(jobs=[job("a", working_dir=FILES)], packages={FILES: "MQ=="})

        assert JobsDocument.model_validate_json(with_waiting(current.encode(), file) or b"") == self.WAITING
        assert JobsDocument.model_validate_json(with_waiting(None, file) or b"") == self.WAITING

    @pytest.mark.parametrize("content", [None, b"{", b"x" * (MAX_BYTES + 1)])
    def test_document_stands_without_a_usable_file(self, tmp_path, content):
        if content is not None:
            write_private(tmp_path / "jobs", content)

        assert with_waiting(b"current", tmp_path / "jobs") == b"current"

    def test_waiting_jobs_that_do_not_fit_are_left_out(self, file):
        current = JobsDocument(jobs=[job("c", working_dir=MODULE)], packages={MODULE: "A" * (MAX_BYTES - 200)}).encode()

        assert with_waiting(current, file) == current
