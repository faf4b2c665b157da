"""The jobs that a new head submits again, as one JSON document, and its file on the head. Imports nothing of Ray."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from yellowdog_ray.node.kit import MAX_JOBS_BYTES
from yellowdog_ray.printable import one_line
from yellowdog_ray.private_file import read_private

MAX_JOBS = 1_000

_FAULT_LENGTH = 300

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


class JobsPendingError(Exception):
    """The jobs of this head have not been read yet."""


def read(file: Path) -> JobsDocument:
    """Read a document.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read, or belongs to others.
        ValueError: it is too large, or something else.
    """
    return JobsDocument.model_validate_json(read_private(file, MAX_JOBS_BYTES))


def fault_of(error: Exception) -> str:
    """The mistake of a document or a record, on one line and without its values: these may be secret."""
    if isinstance(error, ValidationError):
        faults = error.errors(include_url=False, include_context=False, include_input=False)
        text = ", ".join(f"{'.'.join(map(str, fault['loc'])) or 'all'}: {fault['type']}" for fault in faults)
    else:
        text = " ".join(str(error).split())
    return one_line(text)[:_FAULT_LENGTH]
