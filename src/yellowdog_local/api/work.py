"""Routes of the work service."""

from __future__ import annotations

from yellowdog_client.model import (
    Task,
    TaskSearch,
    WorkRequirement,
    WorkRequirementSearch,
    WorkRequirementStatus,
)

from yellowdog_local.api.routing import Call, Endpoint
from yellowdog_local.state.records import GroupRecord


def _add(call: Call) -> object:
    work = call.platform.work
    return work.view(work.add(call.load(WorkRequirement)))


def _update(call: Call) -> object:
    work = call.platform.work
    return work.view(work.update(call.load(WorkRequirement)))


def _list(call: Call) -> object:
    work, search = call.platform.work, call.search(WorkRequirementSearch)
    return call.slice_or_list(work.search(search), work.summary, search)


def _get(call: Call) -> object:
    return call.platform.work.view(call.platform.store.work(call.path["id"]))


def _get_by_name(call: Call) -> object:
    record = call.platform.store.work_by_name(call.path["namespace"], call.path["name"])
    return call.platform.work.view(record)


def _transition(call: Call) -> object:
    work = call.platform.work
    status = call.member("status", WorkRequirementStatus)
    record = call.platform.store.work(call.path["id"])
    return work.view(work.transition(record, status, abort=call.flag("abort")))


def _add_tasks(call: Call) -> object:
    return _added(call, call.platform.store.group(call.path["id"]))


def _add_tasks_by_name(call: Call) -> object:
    path = call.path
    return _added(call, call.platform.work.group_by_name(path["namespace"], path["name"], path["group"]))


def _added(call: Call, group: GroupRecord) -> list[Task]:
    # The SDK sends no body at all for an empty list.
    tasks = call.load(list[Task]) if call.body is not None else []
    return [task.entity for task in call.platform.work.add_tasks(group, tasks)]


def _list_tasks(call: Call) -> object:
    search = call.search(TaskSearch)
    return call.slice(call.platform.work.search_tasks(search), lambda task: task.entity, search)


def _get_task(call: Call) -> object:
    return call.platform.store.task(call.path["id"]).entity


def _cancel_task(call: Call) -> object:
    task = call.platform.store.task(call.path["id"])
    call.platform.tasks.cancel_by_user(task, abort=call.flag("abort"))
    return task.entity


ENDPOINTS = (
    Endpoint("POST", "/work/requirements", _add),
    Endpoint("PUT", "/work/requirements", _update),
    Endpoint("GET", "/work/requirements", _list),
    Endpoint("GET", "/work/requirements/{id}", _get),
    Endpoint("GET", "/work/namespaces/{namespace}/requirements/{name}", _get_by_name),
    Endpoint("PUT", "/work/requirements/{id}/transition/{status}", _transition),
    Endpoint("POST", "/work/taskGroups/{id}/tasks", _add_tasks),
    Endpoint("POST", "/work/namespaces/{namespace}/requirements/{name}/taskGroups/{group}/tasks", _add_tasks_by_name),
    Endpoint("GET", "/work/tasks", _list_tasks),
    Endpoint("GET", "/work/tasks/{id}", _get_task),
    Endpoint("PUT", "/work/tasks/{id}/cancel", _cancel_task),
)
