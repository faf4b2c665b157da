"""Submits the jobs of a lost head again, to Ray's job server on the head that replaces it. Independent of YellowDog."""

from __future__ import annotations

import base64
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from yellowdog_ray.clock import Clock
from yellowdog_ray.monitor.jobs_document import JobsDocument, SavedJob, fault_of, read
from yellowdog_ray.monitor.restartable_jobs import PACKAGE_SECONDS, connect_store
from yellowdog_ray.node.kit import HEAD_JOBS
from yellowdog_ray.node.ports import DASHBOARD_PORT
from yellowdog_ray.printable import one_line
from yellowdog_ray.private_file import shorten_private, write_private

logger = logging.getLogger(__name__)

MINUTES = 10
"""For how long failed submissions are retried: Ray's job server starts after the autoscaler."""

FIRST_SECONDS = 2.0
LONGEST_SECONDS = 30.0
"""The first and the longest pause between two rounds; each is twice the one before."""

SAVE_SECONDS = 10.0
"""How long the file may have a job that is submitted, while others are being submitted: it has up to 27 MiB."""

_REQUEST_SECONDS = 30.0


def connect_job_server(address: str = f"http://127.0.0.1:{DASHBOARD_PORT}") -> Any:
    """Ray's client of the job server, with time-outs. It reads the cluster's token as Ray does.

    Raises:
        ConnectionError: the server does not answer.
        RuntimeError: it refuses the token.
    """
    from ray.job_submission import JobSubmissionClient

    class Client(JobSubmissionClient):  # type: ignore[misc]  # Ray has no types
        def _do_request(self, *arguments: Any, **options: Any) -> Any:
            return super()._do_request(*arguments, **{"timeout": _REQUEST_SECONDS, **options})

    return Client(address)


class Resubmission:
    """Submits each job of the document in the home directory, with the submission id that it had.

    A job that the server has already counts as done. The file loses each job that is done, so that another process on
    this head continues with the others. A file that cannot be written is written again in each round.

    Args:
        home: the home directory.
        clock: time; its `sleep` is called in a thread of this object.
        connect: makes the client of the job server.
        connect_to_store: makes the client of the control store.
    """

    def __init__(
        self,
        home: Path,
        clock: Clock,
        connect: Callable[[], Any] = connect_job_server,
        connect_to_store: Callable[[], Any] = connect_store,
    ) -> None:
        self._file = home / HEAD_JOBS
        self._clock = clock
        self._connect = connect
        self._connect_to_store = connect_to_store
        self._thread: threading.Thread | None = None
        self._is_started = False
        self._is_saved = True
        self._failures: dict[str, str] = {}

    def tick(self, _snapshot: object) -> None:
        """Start at the first tick."""
        if not self._is_started:
            self._is_started = True
            self.start()

    def start(self) -> None:
        """Begin in a thread that ends with the process, if there is a document."""
        if self._file.exists():
            self._thread = threading.Thread(target=self.run, name="raydog-resubmission", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Wait for the thread."""
        if self._thread is not None:
            self._thread.join()

    def run(self) -> None:
        """Submit the jobs, with pauses after failures. Returns when all are done, or `MINUTES` have passed."""
        try:
            left = read(self._file)
        except FileNotFoundError:
            return
        except (OSError, ValueError) as error:
            logger.warning("the jobs in %s cannot be submitted again: %s", self._file, fault_of(error))
            return
        deadline = self._clock.monotonic() + MINUTES * 60
        pause = FIRST_SECONDS
        left = self._round(left)
        while (left.jobs or not self._is_saved) and self._clock.monotonic() + pause <= deadline:
            self._clock.sleep(pause)
            pause = min(2 * pause, LONGEST_SECONDS)
            left = self._round(left)
        for job in left.jobs:
            logger.warning(
                "the job %s could not be submitted again within %d minutes (%s). Submit it yourself with this "
                "submission id; the autoscaler tries again when it is restarted",
                one_line(job.submission_id),
                MINUTES,
                self._failures[job.submission_id],
            )

    def _round(self, document: JobsDocument) -> JobsDocument:
        """Try each job once. Returns what is left."""
        failed: list[SavedJob] = []
        try:
            server, store = self._connect(), self._connect_to_store()
            present = {details.submission_id for details in server.list_jobs()}
        except Exception as error:  # noqa: BLE001 - Ray's clients raise many types, and the thread must go on
            self._failures = {job.submission_id: fault_of(error) for job in document.jobs}
            return self._keep(document, document.jobs)
        saved_at = self._clock.monotonic()
        for number, job in enumerate(document.jobs, 1):
            if job.submission_id in present:
                logger.info("the job %s is on this head already", one_line(job.submission_id))
                continue
            try:
                _submit(job, document, server, store)
                logger.info("the job %s has been submitted again", one_line(job.submission_id))
            except Exception as error:  # noqa: BLE001 - as above
                self._failures[job.submission_id] = fault_of(error)
                failed.append(job)
            if (now := self._clock.monotonic()) - saved_at >= SAVE_SECONDS:
                self._keep(document, [*failed, *document.jobs[number:]])
                saved_at = now
        return self._keep(document, failed)

    def _keep(self, document: JobsDocument, jobs: list[SavedJob]) -> JobsDocument:
        """Leave only these jobs in the file."""
        if len(jobs) == len(document.jobs) and self._is_saved:
            return document
        left = document.of(jobs)
        try:
            self._save(left)
            self._is_saved = True
        except OSError as error:
            if self._is_saved:
                logger.warning("%s still has jobs that have been submitted: %s", self._file, error)
            self._is_saved = False
        return left

    def _save(self, left: JobsDocument) -> None:
        if not left.jobs:
            self._file.unlink(missing_ok=True)
            return
        content = left.encode()
        try:
            write_private(self._file, content)
        except OSError:  # a full disk has space for what is in the file already
            shorten_private(self._file, content)


def _submit(job: SavedJob, document: JobsDocument, server: Any, store: Any) -> None:
    """Upload a job's packages and submit it."""
    for uri in job.packages():
        content = base64.b64decode(document.packages[uri], validate=True)
        store.internal_kv_put(uri.encode(), content, True, None, PACKAGE_SECONDS)
    server.submit_job(**job.model_dump(exclude={"start_time"}, exclude_none=True))
