"""Calls that concern several clusters."""

import pytest
from yellowdog_client.model import ApplicationDetails, WorkerPoolSummary, WorkRequirementSummary

from tests.yellowdog_ray.platform.fake_sdk import Search, calls_of
from yellowdog_ray.platform.account import AccountCalls


@pytest.mark.parametrize(
    ("reads_all", "listed", "namespaces"),
    [(True, ["a"], None), (False, ["a", "b"], ("a", "b")), (False, None, ())],
)
def test_readable_namespaces_are_none_for_a_key_that_reads_all(reads_all, listed, namespaces):
    details = ApplicationDetails(id="i", name="n", allNamespacesReadable=reads_all, readableNamespaces=listed)
    account = calls_of(AccountCalls, application_client={"get_application_details": lambda: details})

    assert account.application().namespaces == namespaces


@pytest.mark.parametrize(
    ("namespaces", "searched", "found"),
    [(None, [None], ["a", "b"]), (["a"], ["a"], ["a"]), (["a", "b"], ["a", "b"], ["a", "b"] * 2), ([], [], [])],
)
def test_list_takes_one_search_per_namespace_and_leaves_others_out(namespaces, searched, found):
    """This platform's search ignores the namespace."""
    searches = []

    def search(request):
        searches.append(request.namespace)
        return Search(*(WorkRequirementSummary(id="w", name="w", namespace=name) for name in "ab"))

    account = calls_of(AccountCalls, work_client={"get_work_requirements": search})

    assert [entry.namespace for entry in account.all_work(namespaces)] == found
    assert searches == searched


def test_pools_are_searched_with_their_statuses_unless_all_are_wanted():
    statuses = []

    def search(request):
        statuses.append(request.statuses)
        return Search(WorkerPoolSummary(id="p", name="p", namespace="a"))

    account = calls_of(AccountCalls, worker_pool_client={"get_worker_pools": search})

    assert len(account.live_pools(["a"])) == len(account.all_pools(["a"])) == 1
    live, every = statuses
    assert every is None
    assert not {"SHUTDOWN", "TERMINATED"} & {status.name for status in live}


@pytest.mark.parametrize(("creator", "name"), [("ydid:user:1", "a user"), ("ydid:app:1", "an application")])
def test_name_of_a_creator_is_read_by_its_kind(creator, name):
    class Named:
        def __init__(self, name):
            self.name = name

    account = calls_of(
        AccountCalls,
        account_client={"get_user": lambda _: Named("a user"), "get_application": lambda _: Named("an application")},
    )

    assert account.creator_name(creator) == name
