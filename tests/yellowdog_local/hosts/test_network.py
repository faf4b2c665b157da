"""The hosts' network: late reuse of addresses, free subnets, and bridges with the alias of their owner."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from yellowdog_local.hosts import network
from yellowdog_local.hosts.network import Bridge, NetworkError, bridges_of, run_ip


@pytest.fixture
def small() -> Bridge:
    return Bridge("raydog9", ipaddress.IPv4Network("10.9.0.0/29"))


def test_gateway_is_the_first_address(small: Bridge) -> None:
    assert small.gateway == "10.9.0.1"


def test_reserve_reuses_a_released_address_last(small: Bridge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "remove_link", lambda _name: None)
    cables = [small.reserve() for _ in range(3)]
    small.release(cables[0])
    following = [small.reserve().address for _ in range(3)]

    assert [cable.address for cable in cables] == ["10.9.0.2", "10.9.0.3", "10.9.0.4"]
    assert following == ["10.9.0.5", "10.9.0.6", "10.9.0.2"]
    with pytest.raises(NetworkError, match="all 5 addresses"):
        small.reserve()


def test_interface_name_fits_the_kernels_limit() -> None:
    bridge = Bridge("raydog15", ipaddress.IPv4Network("10.207.240.0/20"))
    bridge._last = 4093

    assert len(bridge.reserve().name) <= 15


def test_hardware_address_is_local_and_derived_from_the_address() -> None:
    assert network.hardware_address("10.207.1.255") == "02:52:0a:cf:01:ff"


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        ([], "10.207.16.0/20"),
        ([{"dst": "default"}, {"dst": "10.207.0.0/24"}], "10.207.16.0/20"),
        ([{"dst": "10.207.17.5"}], "198.18.16.0/20"),
        ([{"dst": "10.0.0.0/8"}], "198.18.16.0/20"),
        ([{"dst": "10.0.0.0/8"}, {"dst": "198.18.0.0/15"}], None),
    ],
)
def test_subnet_in_use_is_skipped(
    routes: list[dict[str, Any]], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network, "_read_ip", lambda *words: routes if "route" in words else [])
    found = network._free_network(1)

    assert (str(found) if found else None) == expected


def test_open_fails_without_a_free_subnet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_free_network", lambda _index: None)

    with pytest.raises(NetworkError, match="no free subnet for the hosts"):
        Bridge.open("owner")


@pytest.fixture
def scripted_ip(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[str]]:
    """Replaces `ip` by a record of its commands that fails from the first one with a given text on."""

    def script(failing: str) -> list[str]:
        commands: list[str] = []

        def run(batch: list[str]) -> None:
            for command in batch:
                commands.append(command)
                if failing in command:
                    raise NetworkError(failing)

        monkeypatch.setattr(network, "run_ip", run)
        monkeypatch.setattr(network, "_free_network", lambda _index: ipaddress.IPv4Network("10.207.0.0/20"))
        return commands

    return script


@pytest.mark.parametrize("failing", ["alias", "addrgenmode", "addr add", "raydog0 up"])
def test_open_leaves_no_bridge_when_its_set_up_fails(scripted_ip: Callable[[str], list[str]], failing: str) -> None:
    commands = scripted_ip(failing)

    with pytest.raises(NetworkError, match=failing):
        Bridge.open("owner")
    assert commands[-1] == "link del raydog0"


def test_second_close_leaves_a_later_bridge_of_that_name_alone(scripted_ip: Callable[[str], list[str]]) -> None:
    commands = scripted_ip("nothing fails")
    bridge = Bridge.open("owner")
    bridge.close()
    bridge.close()

    assert commands.count("link del raydog0") == 1


def test_open_removes_nothing_when_no_bridge_is_added(scripted_ip: Callable[[str], list[str]]) -> None:
    commands = scripted_ip("link add")

    with pytest.raises(NetworkError, match="link add"):
        Bridge.open("owner")
    assert len(commands) == 1


OWNERS = [
    "/plain/path",
    "/with a blank",
    "/with a\nline",
    "/with\ttab\x00and\x1bcontrol",
    "/with#hash\"quote'\\",
    "/wide\u2003blank",
    "/" + "long/" * 100,
    "/" + "\N{DOG FACE}" * 60,
    "/" + "\u00e9" * 200,
    "/not\udcffutf8",
]


@pytest.mark.parametrize("owner", OWNERS)
def test_alias_is_one_word_of_a_batch_and_fits_the_kernels_limit(owner: str) -> None:
    alias = network._alias(owner)

    assert re.fullmatch(r"[^\s\x00-\x1f#'\"\\]+", alias)
    assert len(alias.encode()) <= 255
    assert network._alias(owner + "x") != alias


def test_alias_is_the_path_of_an_owner_where_possible() -> None:
    assert network._alias("/home/me/.raydog-1") == "/home/me/.raydog-1"
    assert network._alias("/h/a b").startswith("/h/a_b-")
    assert network._alias("/h/a b") != network._alias("/h/a_b")


@pytest.mark.hosts
@pytest.mark.parametrize("owner", OWNERS)
def test_bridge_is_found_by_any_owner(owner: str) -> None:
    bridge = Bridge.open(owner)
    try:
        assert bridges_of(owner) == [bridge.name]
        assert bridges_of(owner + "x") == []
    finally:
        bridge.close()


@pytest.mark.hosts
def test_bridge_is_found_by_its_owner_until_closed(tmp_path: Path) -> None:
    owner = str(tmp_path / "with blanks")
    bridge = Bridge.open(owner)
    try:
        assert bridges_of(owner) == [bridge.name]
        assert bridges_of(str(tmp_path)) == []
    finally:
        bridge.close()

    assert bridges_of(owner) == []


@pytest.mark.hosts
def test_error_contains_the_message_of_ip() -> None:
    with pytest.raises(NetworkError, match=r"link del raydog-none.*Cannot find device"):
        run_ip(["link del raydog-none"])
