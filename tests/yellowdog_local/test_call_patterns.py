"""Patterns of API calls: which calls match, and the names of routes."""

from __future__ import annotations

import pytest

from yellowdog_local.call_patterns import CallPattern, route_name


@pytest.mark.parametrize(
    ("text", "call", "meant"),
    [
        ("*", "GET /work/tasks", True),
        ("GET *", "POST /work/tasks", False),
        ("/work/tasks", "POST /work/tasks", True),
        ("get /work/tasks/", "GET /work/tasks", True),
        ("GET /work/tasks", "GET /work/tasks/", True),
        ("GET /work/tasks", "GET /work/tasks/ydid:task:1", False),
        ("GET /work/tasks/*", "GET /work/tasks/ydid:task:1", True),
        ("GET /work/tasks/{id}", "GET /work/tasks/ydid:task:1", True),
        ("GET /work/*", "GET /work/tasks/ydid:task:1", False),
        ("GET /work/**", "GET /work/tasks/ydid:task:1", True),
        ("PUT /work/tasks/ydid:task:*", "PUT /work/tasks/ydid:task:1", True),
        ("GET /work/tasks.", "GET /work/tasksx", False),
        ("*", "GET /agent/nodes/1/commands", False),
        ("GET /**", "GET /admin/faults", False),
        ("GET /agent/**", "GET /agent/nodes/1/commands", True),
    ],
)
def test_pattern_matches_calls_by_path_or_route(text: str, call: str, meant: bool) -> None:
    method, path = call.split()
    assert CallPattern(text).matches(method, path, "/work/tasks/{id}" if "ydid" in path else "-") is meant


@pytest.mark.parametrize(
    ("path", "name"),
    [("/workerPools/{id:ydid}/", "/workerPools/{id}"), ("/work/tasks", "/work/tasks"), ("/", "/")],
)
def test_route_name_has_no_convertor_and_no_trailing_slash(path: str, name: str) -> None:
    assert route_name(path) == name
