"""Limits that the platform states in its refusals, in various words."""

import pytest
import requests

from yellowdog_ray.errors import (
    AlreadyExists,
    MalformedResponse,
    NotAuthorised,
    NotFound,
    Refused,
    Throttled,
    Unavailable,
)
from yellowdog_ray.platform.limits import NODES, TASKS, stated_limit


def refused(text, kind=Refused, cause=Exception):
    error = kind("YellowDog declined (worker pool 'ray-cpu-77-0badcafe')")
    error.__cause__ = cause(text)
    return error


@pytest.mark.parametrize(
    "text",
    [
        "InvalidRequestException: maxNodes must not be more than 1000",
        "maxNodes: must be less than or equal to 1,000",
        "10000 nodes requested, and at most 1000 nodes are allowed",
        "targetInstanceCount must be between 0 and 1000",
        "400 Client Error: Bad Request for url: http://127.0.0.1:8080/x Response Body: max_nodes exceeds 1000",
        "Worker pools are limited to 1000 node(s)",
        "maxNodes must be < 1001",
        "fewer than 1,001 nodes",
        "The pool size is capped at 1000",
        "maximum nodes: 1.000",
        "node limit is 1 000",
        "Exceeds quota: 37 of 1000 nodes used",
        "nodes: 1000 max. See https://docs.example/limits/2024 (error 4013)",
        "In the last 24 hours 3000 nodes were used; maxNodes at most 1000",
    ],
)
def test_limit_of_nodes_is_found(text):
    assert stated_limit(refused(text), NODES, below=10_000) == 1000


@pytest.mark.parametrize(
    "text",
    [
        "InvalidRequestException: template has no sources; code 17",
        "maxNodes must not be more than the policy allows",
        "maxNodes must not be more than 10000",
        "maxNodes must not exceed 1000.5",
        "maxNodes must not exceed 1,000.5",
        "In the last 24 hours 3000 nodes were used",
        "too many nodes (error 4013)",
        "maxNodes must not be negative: pool ray-77-12 of http://127.0.0.1:8080/3",
    ],
)
def test_refusal_without_a_lower_limit_states_none(text):
    assert stated_limit(refused(text), NODES, below=10_000) is None


def test_limit_of_tasks_is_found_in_its_own_words_only():
    assert stated_limit(refused("No more than 100 tasks can be added at once"), TASKS, below=1000) == 100
    assert stated_limit(refused("taskData must not be more than 500 bytes, and is 700"), TASKS, below=1000) is None


@pytest.mark.parametrize("text", ["task list size must be between 1 and 500", "addTasks: 1000 > 500"])
def test_limit_of_tasks_is_found_in_words_of_a_validation(text):
    assert stated_limit(refused(text), TASKS, below=1000) == 500


def test_next_number_is_found_when_the_first_was_another():
    error = refused("status 400: maxNodes exceeds 250")

    assert stated_limit(error, NODES, below=1000) == 400
    assert stated_limit(error, NODES, below=400) == 250


@pytest.mark.parametrize("kind", [AlreadyExists, NotFound, Throttled, Unavailable])
def test_limit_is_found_whatever_the_class_of_the_refusal(kind):
    assert stated_limit(refused("a worker pool may have at most 3 nodes", kind), NODES, below=10) == 3
    assert stated_limit(refused("At most 3 tasks per request", kind), TASKS, below=10) == 3


@pytest.mark.parametrize(
    "text",
    [
        "too many instances: retry after 3 requests",
        "too many nodes: wait 3 seconds, at most",
        "rate limit of 3 exceeded: nodes",
        "at most 3 instances per second",
        "3 nodes of zone A have failed",
        '{"status": 3, "errorType": "LimitExceeded", "message": "too many instances"}',
    ],
)
def test_throttling_and_failures_state_no_limit(text):
    assert stated_limit(refused(text, Throttled), NODES, below=10) is None
    assert stated_limit(refused(text, Unavailable), NODES, below=10) is None


@pytest.mark.parametrize(
    ("kind", "cause"),
    [(Unavailable, requests.ConnectionError), (MalformedResponse, Exception), (NotAuthorised, Exception)],
)
def test_failure_without_an_answer_states_no_limit(kind, cause):
    assert stated_limit(refused("max retries exceeded: at most 3 nodes", kind, cause), NODES, below=10) is None


def test_stated_limit_is_halved_when_it_is_refused_with_its_own_number():
    error = refused("maxNodes must be smaller than the limit, 4")

    assert stated_limit(error, NODES, below=10) == 4
    assert stated_limit(error, NODES, below=4, was_stated=True) == 2
    assert stated_limit(error, NODES, below=2, was_stated=True) is None
    assert stated_limit(refused("maxNodes must be smaller than 1"), NODES, below=1, was_stated=True) is None
