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
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from yellowdog_ray.monitor.jobs_document import MAX_BYTES, MAX_JOBS, JobsDocument, SavedJob
from yellowdog_ray.monitor.ray_state import TIMEOUT_SECONDS
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

MAX_PACKAGES_MIB = 20
"""What fits into a document, for messages."""

_FRAME = len('{"version":1,"jobs":[],"packages":{}}')
_SEPARATORS = len(':"",')


def connect_store(address: str = f"127.0.0.1:{GCS_PORT}") -> Any:
    """Ray's client of the control store.

    Raises:
        ray.exceptions.RayError: no connection.
    """
    from ray._raylet import GcsClient  # type: ignore[attr-defined]  # compiled, and private as in gcs.py

    return GcsClient(address=address)


class RestartableJobs:
    """The marked jobs that wait or run.

    Its requests run in a thread of their own, so that a large package delays nothing.

    Args:
        monotonic: seconds that never go back.
        connect: makes the client of the control store.
    """

    def __init__(self, monotonic: Callable[[], float], connect: Callable[[], Any] = connect_store) -> None:
        self._monotonic = monotonic
        self._connect = connect
        self._read_at = float("-inf")
        self._thread: threading.Thread | None = None
        self._document: bytes | None = None
        # Below: used in the thread only.
        self._client: Any = None
        self._errors = DistinctErrors()
        self._others: set[bytes] = set()  # records that are not read again: unmarked jobs, and those that have ended
        self._jobs: list[SavedJob] = []
        self._sizes: dict[str, int] = {}
        self._omitted: set[str] = set()

    def document(self) -> bytes | None:
        """The document as last read; None if there is no such job. Starts a reading if one is due; makes no request."""
        now = self._monotonic()
        if now - self._read_at >= POLL_SECONDS and (self._thread is None or not self._thread.is_alive()):
            self._read_at = now
            self._thread = threading.Thread(target=self._run, name="raydog-jobs", daemon=True)
            self._thread.start()
        return self._document

    def close(self) -> None:
        """Wait for the reading that runs."""
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        from ray.exceptions import RayError

        try:
            self._read()
        except RayError as error:
            logger.debug("Ray's control store shows no jobs; the last ones stand: %s", error)
        except Exception as error:  # a mistake of ours, or a change in Ray
            if self._errors.is_new(error):
                logger.warning("the jobs in Ray's control store cannot be used", exc_info=error)

    def _read(self) -> None:
        if self._client is None:
            self._client = self._connect()
        keys = set(self._client.internal_kv_keys(_PREFIX, _NAMESPACE, TIMEOUT_SECONDS))
        self._others &= keys
        jobs = sorted(self._living(keys - self._others), key=lambda job: (job.start_time, job.submission_id))
        if jobs != self._jobs:
            self._document = self._compose(jobs)
            self._jobs = jobs

    def _living(self, keys: Iterable[bytes]) -> list[SavedJob]:
        records: Mapping[bytes, bytes] = {}
        if wanted := sorted(keys):
            records = self._client.internal_kv_multi_get(wanted, _NAMESPACE, TIMEOUT_SECONDS)
        read = {key: _marked_job(key, record) for key, record in records.items()}
        self._others |= {key for key, job in read.items() if job is None}
        return [job for job in read.values() if job is not None]

    def _compose(self, jobs: list[SavedJob]) -> bytes | None:
        """The document of the jobs that fit, the oldest first."""
        kept: list[SavedJob] = []
        packages: dict[str, str] = {}
        room = MAX_BYTES - _FRAME
        needed = {uri for job in jobs for uri in job.packages()}
        self._sizes = {uri: size for uri, size in self._sizes.items() if uri in needed}
        self._omitted &= {job.submission_id for job in jobs}
        for job in jobs:
            try:
                added = self._missing_packages(job, packages)
            except LookupError as error:  # Ray deletes a package with the last job that has used it
                logger.debug("the job %s has no package %s any more", one_line(job.submission_id), error)
                continue
            cost = len(job.model_dump_json(exclude_none=True).encode()) + len(",")
            cost += sum(len(json.dumps(uri)) + self._sizes[uri] + _SEPARATORS for uri in added)
            if cost > room or len(kept) == MAX_JOBS:
                self._omit(job)
                continue
            kept.append(job)
            packages |= added
            room -= cost
        return JobsDocument(jobs=kept, packages=packages).encode() if kept else None

    def _missing_packages(self, job: SavedJob, present: Mapping[str, str]) -> dict[str, str]:
        """The packages of a job, in base64, that are not present yet. Sets their sizes.

        One that is too large by itself is transferred once only, and is empty in the result.

        Raises:
            LookupError: the control store has one no more.
        """
        return {uri: self._package(uri) for uri in job.packages() if uri not in present}

    def _package(self, uri: str) -> str:
        if self._sizes.get(uri, 0) > MAX_BYTES:
            return ""
        content = self._client.internal_kv_get(uri.encode(), None, PACKAGE_SECONDS)
        if content is None:
            raise LookupError(uri)
        self._sizes[uri] = size = (len(content) + 2) // 3 * 4
        return base64.b64encode(content).decode() if size <= MAX_BYTES else ""

    def _omit(self, job: SavedJob) -> None:
        if job.submission_id not in self._omitted:
            self._omitted.add(job.submission_id)
            logger.warning(
                "the job %s will not be submitted again after a loss of the head's machine: the files uploaded for it "
                "and for earlier marked jobs exceed %d MiB; use the URI of a remote `working_dir`",
                one_line(job.submission_id),
                MAX_PACKAGES_MIB,
            )


def _marked_job(key: bytes, record: bytes) -> SavedJob | None:
    """The job of a record if it is marked and has not ended."""
    try:
        fields = json.loads(record)
        metadata = fields["metadata"] or {}
        if fields["status"] not in _LIVING or metadata.get(MARKER[0]) != MARKER[1]:
            return None
        environment = json.loads(fields.pop("runtime_env_json", None) or "{}")
        fields = {name: value for name, value in fields.items() if value is not None}
        name = key.removeprefix(_PREFIX).decode()
        job = SavedJob.model_validate({**fields, "submission_id": name, "runtime_env": environment})
        job.model_dump_json()  # half a character in a runtime environment would spoil the whole document
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        logger.debug("a record of a job cannot be used: %s", error)
        return None
    return job
