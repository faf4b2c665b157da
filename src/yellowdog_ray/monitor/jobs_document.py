"""The jobs that a new head submits again, as one JSON document, and its file on the head. Imports nothing of Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from yellowdog_ray.private_file import read_private

MAX_BYTES = 27 * 2**20
"""Size of a document at most: 20 MiB of packages in base64, and a description of each job."""

MAX_JOBS = 1_000

_UPLOADED = "gcs://"
"""The beginning of the URI of a package in Ray's control store (`Protocol.GCS` of Ray 2.60)."""

Text = Annotated[str, Field(min_length=1)]
Amount = Annotated[int | float, Field(ge=0)]


class SavedJob(BaseModel):
    """One job: the arguments of `JobSubmissionClient.submit_job`, and when it was first submitted, in ms."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    submission_id: Text
    entrypoint: Text
    start_time: int = 0
    runtime_env: dict[str, Any] = Field(default_factory=dict)
    metadata: dict[str, str] = Field(default_factory=dict)
    entrypoint_num_cpus: Amount | None = None
    entrypoint_num_gpus: Amount | None = None
    entrypoint_memory: Annotated[int, Field(ge=0)] | None = None
    entrypoint_resources: dict[str, Amount] | None = None
    entrypoint_label_selector: dict[str, str] | None = None

    def packages(self) -> list[str]:
        """The URIs of the packages that Ray's client has uploaded for it, each once."""
        modules = self.runtime_env.get("py_modules")
        values = [self.runtime_env.get("working_dir"), *(modules if isinstance(modules, list) else ())]
        return list(dict.fromkeys(uri for uri in values if isinstance(uri, str) and uri.startswith(_UPLOADED)))


class JobsDocument(BaseModel):
    """The jobs, and the packages that they need: base64 by URI."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    version: Literal[1] = 1
    jobs: Annotated[list[SavedJob], Field(max_length=MAX_JOBS)]
    packages: dict[str, str] = Field(default_factory=dict)

    def of(self, jobs: list[SavedJob]) -> JobsDocument:
        """The document of some of its jobs."""
        needed = {uri for job in jobs for uri in job.packages()}
        packages = {uri: content for uri, content in self.packages.items() if uri in needed}
        return JobsDocument(jobs=jobs, packages=packages)

    def encode(self) -> bytes:
        """Its JSON."""
        return self.model_dump_json(exclude_none=True).encode()


def read(file: Path) -> JobsDocument:
    """Read a document.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read, or belongs to others.
        ValueError: it is too large, or something else.
    """
    return JobsDocument.model_validate_json(read_private(file, MAX_BYTES))


def with_waiting(current: bytes | None, file: Path) -> bytes | None:
    """A document with the jobs that still wait in a file too, as long as they fit.

    Args:
        current: the document of the jobs on this head; None if there are none.
        file: the document of the head that this one has replaced, until all its jobs are submitted.
    """
    try:
        waiting = read(file)
    except (OSError, ValueError):
        return current
    known = JobsDocument(jobs=[]) if current is None else JobsDocument.model_validate_json(current)
    ids = {job.submission_id for job in known.jobs}
    left = waiting.of([job for job in waiting.jobs if job.submission_id not in ids][: MAX_JOBS - len(ids)])
    both = JobsDocument(jobs=[*known.jobs, *left.jobs], packages={**left.packages, **known.packages}).encode()
    return both if len(both) <= MAX_BYTES else current
