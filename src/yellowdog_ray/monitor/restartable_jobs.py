"""The jobs that a new head is to submit again: read from Ray's control store. Independent of YellowDog.

Ray's job server keeps a record of each job in the control store (`JobInfoStorageClient` in dashboard/modules/job/
common.py of Ray 2.60). It has the runtime environment that the user gave, without the variables that Ray adds for one
job. Ray's client uploads local files to the store as packages, by their URI.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from yellowdog_ray.monitor.jobs_document import MAX_JOBS, JobsDocument, JobsPendingError, SavedJob, fault_of, read
from yellowdog_ray.monitor.ray_state import TIMEOUT_SECONDS
from yellowdog_ray.node.kit import MAX_JOBS_BYTES
from yellowdog_ray.node.ports import GCS_PORT
from yellowdog_ray.printable import one_line
from yellowdog_ray.seen_errors import DistinctErrors

logger = logging.getLogger(__name__)

MARKER = ("raydog-restart", "true")
"""The entry of a job's metadata that marks it."""

POLL_SECONDS = 20.0

PACKAGE_SECONDS = 30.0
"""Longest duration of the transfer of one package: Ray allows 512 MiB."""

_NAMESPACE = b"job"
_PREFIX = b"_ray_internal_job_info_"
_LIVING = ("PENDING", "RUNNING")

MAX_READ_AGAIN = 500
"""Records of unmarked and ended jobs that one reading reads again: a job's id may be used again after its deletion."""

FIRST_SECONDS = 2.0
"""How long the first request for the document waits for the first reading."""

UNREAD_SECONDS = 300.0
"""After so long without a complete reading there is a warning. The document is given then even if none was complete."""

_FRAME = len('{"version":1,"jobs":[],"packages":{}}')
_SEPARATORS = len(':"",')
_TOO_LARGE = (
    "the files uploaded for it and for earlier marked jobs exceed {} MiB; use the URI of a remote `working_dir`"
)


def connect_store(address: str = f"127.0.0.1:{GCS_PORT}") -> Any:
    """Ray's client of the control store.

    Raises:
        ray.exceptions.RayError: no connection.
    """
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled, and private as in gcs.py

    return GcsClient(address=address)


class RestartableJobs:
    """The marked jobs that wait or run on this head, and those of the head before it that are not submitted yet.

    Its requests run in a thread of their own, so that a large package delays nothing.

    Args:
        monotonic: seconds that never go back.
        connect: makes the client of the control store.
        waiting: the document of the head that this one has replaced, until all its jobs are submitted.
        room: the size that the document may have.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        connect: Callable[[], Any] = connect_store,
        waiting: Path | None = None,
        room: Callable[[], int] = lambda: MAX_JOBS_BYTES,
    ) -> None:
        self._monotonic = monotonic
        self._connect = connect
        self._waiting = waiting
        self._room = room
        self._read_at = float("-inf")
        self._unread_since: float | None = None
        self._is_read = False
        self._is_reported = False
        self._fault = "no answer"
        self._thread: threading.Thread | None = None
        self._document: bytes | None = None
        # Below: used in the thread only.
        self._waiting_jobs = JobsDocument(jobs=[])
        self._client: Any = None
        self._errors = DistinctErrors()
        self._others: dict[bytes, None] = {}  # unmarked and ended jobs, the one first whose record was read first
        self._composed: tuple[list[SavedJob], int] | None = None
        self._incomplete: set[tuple[str, int]] = set()  # jobs whose packages the control store did not send
        self._packages: dict[str, str] = {}  # those of the document; a URI has the digest of its content
        self._sizes: dict[str, int] = {}
        self._omitted: dict[str, str] = {}  # the start time of each job that is left out, by its id

    def document(self) -> bytes | None:
        """The document as last read; None if there is no such job. Starts a reading if one is due; makes no request.

        Raises:
            JobsPendingError: no reading is complete yet, for up to `UNREAD_SECONDS`.
        """
        now, is_first = self._monotonic(), self._thread is None
        if now - self._read_at >= POLL_SECONDS and (self._thread is None or not self._thread.is_alive()):
            self._read_at = now
            if self._unread_since is None:
                self._unread_since = now
            self._thread = threading.Thread(target=self._run, name="raydog-jobs", daemon=True)
            self._thread.start()
            if is_first:
                self._thread.join(FIRST_SECONDS)
        is_late = self._report_late(now)
        if not self._is_read and not is_late:
            raise JobsPendingError
        return self._document

    def _report_late(self, now: float) -> bool:
        """Warn once if no reading has been complete for `UNREAD_SECONDS`. Returns whether that is so."""
        since = self._unread_since
        if since is None or now - since < UNREAD_SECONDS:
            return False
        if not self._is_reported:
            self._is_reported = True
            logger.warning(
                "Ray's control store has not shown its jobs for %d minutes (%s). After a loss of the head's machine, "
                "marked jobs that are younger may be missing, and others may run again that have ended",
                UNREAD_SECONDS // 60,
                self._fault,
            )
        return True

    def close(self) -> None:
        """Wait for the reading that runs."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        from ray.exceptions import RayError

        try:
            self._read()
            self._is_read, self._unread_since, self._is_reported = True, None, False
        except RayError as error:
            self._fault = fault_of(error)
            logger.debug("Ray's control store shows no jobs; the last ones stand: %s", error)
        except Exception as error:  # a mistake of ours, or a change in Ray
            self._fault = fault_of(error)
            if self._errors.is_new(error):
                logger.warning("the jobs in Ray's control store cannot be used", exc_info=error)

    def _read(self) -> None:
        waiting = self._read_waiting()  # before the store, in which a job is before it leaves the file
        if not self._is_read:
            self._document = waiting.encode() if waiting.jobs else None  # of no use before `UNREAD_SECONDS`
        if self._client is None:
            self._client = self._connect()
        keys = set(self._client.internal_kv_keys(_PREFIX, _NAMESPACE, TIMEOUT_SECONDS))
        present = {_id_of(key) for key in keys}
        waiting = waiting.of([job for job in waiting.jobs if job.submission_id not in present])
        ids = present | {job.submission_id for job in waiting.jobs}
        self._omitted = {name: start for name, start in self._omitted.items() if name in ids}
        jobs = [*self._living(keys), *waiting.jobs]
        jobs.sort(key=lambda job: (job.start_time, job.submission_id))
        room = min(self._room(), MAX_JOBS_BYTES)
        if (jobs, room) != self._composed or self._incomplete:
            self._document = self._compose(jobs, {**self._packages, **waiting.packages}, room)
            self._composed = jobs, room

    def _read_waiting(self) -> JobsDocument:
        """The jobs in the file; those of the last reading if it cannot be read."""
        try:
            if self._waiting is not None:
                self._waiting_jobs = read(self._waiting)
        except FileNotFoundError:
            self._waiting_jobs = JobsDocument(jobs=[])
        except (OSError, ValueError) as error:  # `Resubmission` reports a file that stays so
            logger.debug("the jobs that wait cannot be read: %s", fault_of(error))
        return self._waiting_jobs

    def _living(self, keys: AbstractSet[bytes]) -> list[SavedJob]:
        self._others = {key: None for key in self._others if key in keys}
        again = list(self._others)[:MAX_READ_AGAIN]
        records: Mapping[bytes, bytes] = {}
        if wanted := sorted({*again, *(keys - self._others.keys())}):
            records = self._client.internal_kv_multi_get(wanted, _NAMESPACE, TIMEOUT_SECONDS)
        read_jobs = {key: self._marked_job(_id_of(key), record) for key, record in records.items()}
        for key, job in read_jobs.items():
            self._others.pop(key, None)
            if job is None:
                self._others[key] = None
        return [job for job in read_jobs.values() if job is not None]

    def _marked_job(self, submission_id: str, record: bytes) -> SavedJob | None:
        """The job of a record if it is marked, has not ended, and can be used."""
        try:
            fields = _marked_fields(record)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            logger.debug("the record of the job %s cannot be used: %s", one_line(submission_id), fault_of(error))
            return None
        try:
            return None if fields is None else _job_of(submission_id, fields)
        except (ValueError, TypeError, RecursionError) as error:
            self._omit(
                submission_id, (fields or {}).get("start_time"), f"its record cannot be used ({fault_of(error)})"
            )
            return None

    def _compose(self, jobs: list[SavedJob], read_packages: Mapping[str, str], room: int) -> bytes | None:
        """The document of the jobs that fit into `room`, the oldest first. A failure changes nothing but the log.

        Args:
            jobs: the jobs.
            read_packages: packages that need not be read from the control store, in base64.
            room: the size of the document at most.
        """
        kept: list[SavedJob] = []
        packages: dict[str, str] = {}
        left = room - _FRAME
        needed = {uri for job in jobs for uri in job.packages()}
        self._sizes = {uri: size for uri, size in self._sizes.items() if uri in needed}
        incomplete: set[tuple[str, int]] = set()
        for job in jobs:
            if len(kept) == MAX_JOBS:
                self._omit_job(job, f"{MAX_JOBS:,} jobs that were marked before it wait or run")
                continue
            try:
                added = self._missing_packages(job, packages, read_packages)
            except _NoPackageError as error:  # for one reading without a warning: the job may be about to end
                identity = (job.submission_id, job.start_time)
                incomplete.add(identity)
                if identity in self._incomplete:
                    self._omit_job(job, str(error))
                continue
            cost = len(job.model_dump_json(exclude_none=True).encode()) + len(",")
            cost += sum(len(json.dumps(uri)) + self._sizes[uri] + _SEPARATORS for uri in added)
            if cost > left:
                self._omit_job(job, _TOO_LARGE.format(room * 3 // 4 >> 20))
                continue
            kept.append(job)
            packages |= added
            left -= cost
        document = JobsDocument(jobs=kept, packages=packages).encode() if kept else None
        self._incomplete, self._packages = incomplete, packages
        for job in kept:
            self._omitted.pop(job.submission_id, None)
        return document

    def _missing_packages(
        self, job: SavedJob, present: Mapping[str, str], read_packages: Mapping[str, str]
    ) -> dict[str, str]:
        """The packages of a job, in base64, that are not present yet. Sets their sizes.

        One that is too large by itself is transferred once only, and is empty in the result.

        Raises:
            _NoPackageError: neither those that were read nor the control store have one.
        """
        return {uri: self._package(uri, read_packages) for uri in job.packages() if uri not in present}

    def _package(self, uri: str, read_packages: Mapping[str, str]) -> str:
        from ray.exceptions import RayError

        if self._sizes.get(uri, 0) > MAX_JOBS_BYTES:
            return ""
        if uri in read_packages:
            self._sizes[uri] = len(read_packages[uri])
            return read_packages[uri]
        try:
            content = self._client.internal_kv_get(uri.encode(), None, PACKAGE_SECONDS)
        except RayError as error:
            raise _NoPackageError(f"Ray does not send its package {one_line(uri)} ({fault_of(error)})") from error
        if content is None:  # Ray deletes a package with the last job that has used it
            raise _NoPackageError(f"Ray has its package {one_line(uri)} no more")
        self._sizes[uri] = size = (len(content) + 2) // 3 * 4
        return base64.b64encode(content).decode() if size <= MAX_JOBS_BYTES else ""

    def _omit_job(self, job: SavedJob, why: str) -> None:
        self._omit(job.submission_id, job.start_time, why)

    def _omit(self, submission_id: str, start_time: object, why: str) -> None:
        """Warn once of a job that is left out, until it is in the document or its id has another job."""
        start = repr(start_time)
        if self._omitted.get(submission_id) != start:
            self._omitted[submission_id] = start
            logger.warning(
                "the job %s will not be submitted again after a loss of the head's machine: %s",
                one_line(submission_id),
                why,
            )


class _NoPackageError(Exception):
    """A package of a job cannot be had now. The text has the reason."""


def _id_of(key: bytes) -> str:
    return key.removeprefix(_PREFIX).decode(errors="replace")


def _marked_fields(record: bytes) -> dict[str, Any] | None:
    """The fields of a record if its job is marked, and has not ended."""
    fields: dict[str, Any] = json.loads(record)
    metadata = fields["metadata"] or {}
    return fields if fields["status"] in _LIVING and metadata.get(MARKER[0]) == MARKER[1] else None


def _job_of(submission_id: str, fields: dict[str, Any]) -> SavedJob:
    environment = json.loads(fields.pop("runtime_env_json", None) or "{}")
    fields = {name: value for name, value in fields.items() if value is not None}
    job = SavedJob.model_validate({**fields, "submission_id": submission_id, "runtime_env": environment})
    job.model_dump_json()  # half a character in a runtime environment would spoil the whole document
    return job
