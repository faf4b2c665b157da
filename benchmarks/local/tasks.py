"""Many tasks, similar to those of a cluster launcher."""

from __future__ import annotations

import json

from yellowdog_client.model import Task

TASKS = 10_000
PER_CALL = 1_000


def tasks() -> list[list[Task]]:
    """Named tasks with an argument and an environment, in batches."""
    environment = {"CLUSTER": "bench", "NODE_TYPE": "worker", "HEAD": "10.0.0.1"}
    made = [
        Task(name=f"task-{number}", taskType="bash", arguments=["task.sh"], environment=environment)
        for number in range(TASKS)
    ]
    return [made[start : start + PER_CALL] for start in range(0, TASKS, PER_CALL)]


def bodies_of_tasks() -> list[bytes]:
    """The same tasks as request bodies."""
    fields = ("name", "taskType", "arguments", "environment")
    return [json.dumps([{name: getattr(task, name) for name in fields} for task in few]).encode() for few in tasks()]
