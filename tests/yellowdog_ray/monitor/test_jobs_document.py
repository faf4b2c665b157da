"""The document of jobs that are submitted again."""

import pytest

from yellowdog_ray.monitor.jobs_document import JobsDocument, SavedJob, fault_of, read
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


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b'{"jobs":[{"submission_id":"a","entrypoint":["secret"]}]}', "jobs.0.entrypoint: string_type"),
        (b'{"jobs":[{"submission_id":"a","entrypoint":"x","runtime_env":{"A":"secret', "all: json_invalid"),
    ],
)
def test_fault_of_a_document_has_no_value_of_it(tmp_path, content, fault):
    write_private(tmp_path / "jobs", content)

    with pytest.raises(ValueError) as raised:
        read(tmp_path / "jobs")

    assert fault_of(raised.value) == fault


def test_fault_is_one_short_line():
    assert fault_of(ValueError("a\n b\x1b" + "c" * 1_000)) == "a b\\x1b" + "c" * 293
