"""A real job with local files, on one Ray and then, submitted again, on another."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from ray.cluster_utils import Cluster

from yellowdog_ray.clock import SystemClock
from yellowdog_ray.monitor.jobs_document import JobsDocument, JobsPendingError
from yellowdog_ray.monitor.restartable_jobs import RestartableJobs, connect_store
from yellowdog_ray.monitor.resubmission import Resubmission, connect_job_server
from yellowdog_ray.node.kit import HEAD_JOBS
from yellowdog_ray.private_file import make_private_folder, write_private

START_SECONDS = 60.0
"""Longest wait for Ray's job server to accept a job, and for a job to run."""

JOB = """
import os, pathlib, sys, time
pathlib.Path(sys.argv[1]).write_text(pathlib.Path("data.txt").read_text() + os.environ["MINE"])
time.sleep(600)
"""


class Head:
    """A new Ray with a job server."""

    def __init__(self) -> None:
        self.dashboard = free_port()
        agent = free_port()
        self.cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 1,
                "include_dashboard": True,
                "dashboard_port": self.dashboard,
                "dashboard_agent_listen_port": agent,
            },
        )

    def jobs(self):
        return connect_job_server(f"http://127.0.0.1:{self.dashboard}")

    def store(self):
        return connect_store(self.cluster.address)


@contextmanager
def new_head() -> Iterator[Head]:
    head = Head()
    try:
        yield head
    finally:
        head.cluster.shutdown()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def text_of(file: Path) -> str:
    """The text that a job writes into a file; the file is removed."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if file.exists() and (text := file.read_text()):
            file.unlink()
            return text
        time.sleep(0.1)
    raise TimeoutError("the job has written nothing")


def submit(head: Head, **job: object) -> None:
    """Submit a job once Ray's job server accepts it."""
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        with suppress(ConnectionError, RuntimeError):
            head.jobs().submit_job(**job)
            return
        time.sleep(0.5)
    raise TimeoutError("no job was accepted")


@pytest.mark.timeout(240)
def test_job_runs_again_on_a_new_head_with_its_files(tmp_path: Path) -> None:
    files, written, home = tmp_path / "files", tmp_path / "written", tmp_path / "home"
    files.mkdir()
    (files / "job.py").write_text(JOB)
    (files / "data.txt").write_text("from the working_dir, ")
    command = f"python job.py {written}"
    with new_head() as head:
        jobs = RestartableJobs(time.monotonic, head.store)
        environment = {"working_dir": str(files), "env_vars": {"MINE": "with a variable"}}
        marker = {"raydog-restart": "true"}
        submit(head, submission_id="mine", entrypoint=command, runtime_env=environment, metadata=marker)
        submit(head, submission_id="unmarked", entrypoint="sleep 600")
        assert text_of(written) == "from the working_dir, with a variable"
        with suppress(JobsPendingError):
            jobs.document()
        jobs.close()
        document = jobs.document()
    assert document is not None
    (saved,) = JobsDocument.model_validate_json(document).jobs
    assert saved.runtime_env.keys() == {"working_dir", "env_vars"}
    assert saved.runtime_env["env_vars"] == {"MINE": "with a variable"}
    assert saved.metadata == marker

    make_private_folder(home / Path(HEAD_JOBS).parent)
    write_private(home / HEAD_JOBS, document)
    with new_head() as head:
        Resubmission(home, SystemClock(), head.jobs, head.store).run()

        assert text_of(written) == "from the working_dir, with a variable"
        (details,) = [job for job in head.jobs().list_jobs() if job.submission_id]
        assert (details.submission_id, details.entrypoint, details.status) == ("mine", command, "RUNNING")
    assert not (home / HEAD_JOBS).exists()
