"""The choice of the kind of hosts, by request and machine, and its reason."""

from __future__ import annotations

import pytest

from yellowdog_local.hosts import kinds
from yellowdog_local.hosts.kinds import Choice, HostKind, choose
from yellowdog_local.hosts.prerequisites import MissingRequirementError


def machine(monkeypatch: pytest.MonkeyPatch, *, namespaces: bool, processes: bool) -> None:
    def check(possible: bool, message: str) -> str:
        if not possible:
            raise MissingRequirementError(message)
        return "somebody"

    monkeypatch.setattr(kinds, "check_namespace_hosts", lambda: check(namespaces, "no namespaces"))
    monkeypatch.setattr(kinds, "check_process_hosts", lambda: check(processes, "no port 22"))


def test_auto_chooses_namespace_hosts_where_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, namespaces=True, processes=True)

    assert choose(HostKind.AUTO) == Choice(HostKind.NAMESPACE, "this machine supports namespaces")


def test_auto_chooses_process_hosts_otherwise_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, namespaces=False, processes=True)

    assert choose(HostKind.AUTO) == Choice(HostKind.PROCESS, "namespace hosts are not possible here: no namespaces")


def test_auto_fails_with_both_reasons_where_neither_is_possible(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, namespaces=False, processes=False)

    with pytest.raises(MissingRequirementError, match=r"neither .* no namespaces\. .* no port 22"):
        choose(HostKind.AUTO)


@pytest.mark.parametrize("wish", [HostKind.NAMESPACE, HostKind.PROCESS])
def test_explicit_kind_is_never_replaced_by_another(monkeypatch: pytest.MonkeyPatch, wish: HostKind) -> None:
    machine(monkeypatch, namespaces=True, processes=True)
    assert choose(wish).kind is wish

    machine(monkeypatch, namespaces=wish is not HostKind.NAMESPACE, processes=wish is not HostKind.PROCESS)
    with pytest.raises(MissingRequirementError):
        choose(wish)


def test_simulated_hosts_have_no_requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, namespaces=False, processes=False)

    assert choose(HostKind.SIMULATED).kind is HostKind.SIMULATED
