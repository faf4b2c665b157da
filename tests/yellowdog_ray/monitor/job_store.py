"""Ray's internal key-value store and job records, for the tests of jobs that are submitted again."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.exceptions import RpcError

from yellowdog_ray.monitor.jobs_document import JobsDocument, JobsPendingError
from yellowdog_ray.monitor.restartable_jobs import POLL_SECONDS, RestartableJobs
from yellowdog_ray.node.kit import MAX_JOBS_BYTES

JOBS = b"job"


class Store:
    """Stands in for Ray's `GcsClient`; counts its requests."""

    def __init__(self) -> None:
        self.values: dict[tuple[bytes | None, bytes], bytes] = {}
        self.requests: list[tuple[str, Any]] = []
        self.error: Exception | None = None
        self.stuck: set[str] = set()
        """Packages whose transfer fails."""

    def _request(self, name: str, what: Any, timeout: float) -> None:
        assert timeout > 0
        self.requests.append((name, what))
        if self.error is not None:
            raise self.error

    def internal_kv_keys(self, prefix: bytes, namespace: bytes | None, timeout: float) -> list[bytes]:
        self._request("keys", prefix, timeout)
        return [key for space, key in self.values if space == namespace and key.startswith(prefix)]

    def internal_kv_multi_get(self, keys: list[bytes], namespace: bytes | None, timeout: float) -> dict[bytes, bytes]:
        self._request("multi_get", keys, timeout)
        return {key: self.values[namespace, key] for key in keys if (namespace, key) in self.values}

    def internal_kv_get(self, key: bytes, namespace: bytes | None, timeout: float) -> bytes | None:
        self._request("get", key, timeout)
        if key.decode() in self.stuck:
            raise RpcError("Deadline\nExceeded", rpc_code=4)
        return self.values.get((namespace, key))

    def internal_kv_put(
        self, key: bytes, value: bytes, overwrite: bool, namespace: bytes | None, timeout: float
    ) -> int:
        self._request("put", key, timeout)
        assert overwrite
        self.values[namespace, key] = value
        return 1

    def put_job(self, name: str, *, status: str = "RUNNING", marker: str | None = "true", **fields: Any) -> None:
        """Keep a record as Ray's job server does."""
        environment = fields.pop("runtime_env", {})
        record = {
            "status": status,
            "entrypoint": "python job.py",
            "message": "Job is currently running.",
            "error_type": None,
            "start_time": 1,
            "metadata": {"raydog-restart": marker} if marker is not None else None,
            "entrypoint_num_cpus": 0,
            "entrypoint_resources": None,
            "driver_node_id": "ab",
            "runtime_env_json": json.dumps(environment),
            **fields,
        }
        self.values[JOBS, f"_ray_internal_job_info_{name}".encode()] = json.dumps(record).encode()

    def put_package(self, uri: str, content: bytes) -> None:
        self.values[None, uri.encode()] = content


class Reader:
    """The jobs of a store, read when a test says so."""

    def __init__(self, time: Any, waiting: Path) -> None:
        self.store = Store()
        self.time = time
        self.waiting = waiting
        self.room = MAX_JOBS_BYTES
        self.jobs = RestartableJobs(time, lambda: self.store, waiting, lambda: self.room)

    def raw(self) -> bytes | None:
        self.time.now += POLL_SECONDS
        with suppress(JobsPendingError):
            self.jobs.document()
        self.jobs.close()
        return self.jobs.document()

    def read(self) -> JobsDocument | None:
        raw = self.raw()
        return None if raw is None else JobsDocument.model_validate_json(raw)

    def names(self) -> list[str]:
        document = self.read()
        return [job.submission_id for job in document.jobs] if document else []
