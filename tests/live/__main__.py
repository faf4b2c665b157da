"""`scripts/test --live`: the life of a cluster on a YellowDog account, with each autoscaler."""

from __future__ import annotations

import argparse
import os
import re
import secrets
import signal
import sys
import time
from contextlib import closing, suppress

from tests.live.account import OPTIONS, VARIABLES, Access, Account, AccountError, ClusterView, NoAccountError
from tests.live.guardian import LEFT, SETTLING_SECONDS, remove
from tests.live.life import LifeFailed, live

_CLUSTER = re.compile(r"raydog-live-[0-9a-f]{8}-v[12]")
"""The names of the clusters of live runs; no other cluster can be removed."""


def main() -> int:
    """The command.

    Returns:
        0, also if it was skipped because a variable is missing; 1 after a failure; 2 if a value is invalid.
    """
    try:
        return _run(_parsed())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python's flush at the end would fail too
        with suppress(BrokenPipeError):
            print("FAILED: the output was closed", file=sys.stderr, flush=True)
        return 1


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser("scripts/test --live --")
    parser.add_argument("--autoscaler", choices=("v1", "v2"), action="append", help="only with this one")
    parser.add_argument(
        "--remove", metavar="CLUSTER", type=_cluster, help="only remove a cluster that an earlier run has left"
    )
    return parser.parse_args()


def _cluster(name: str) -> str:
    if not _CLUSTER.fullmatch(name):
        raise argparse.ArgumentTypeError(f"{name!r} is no cluster of a live run")
    return name


def _run(arguments: argparse.Namespace) -> int:
    try:
        if arguments.remove:
            return _remove(Access.from_environment(os.environ), arguments.remove)
        account = Account.of(os.environ)
    except NoAccountError as error:
        if arguments.remove:
            print(f"INVALID: {error}", flush=True)
            return 2
        print(f"SKIPPED: {error}\n\n{_variables()}", flush=True)
        return 0
    except AccountError as error:
        print(f"INVALID: {error}\n\n{_variables()}", flush=True)
        return 2
    return _live(account, arguments.autoscaler or ["v2", "v1"])


def _remove(access: Access, cluster: str) -> int:
    with closing(ClusterView(access, cluster, retries=False)) as view:
        status = remove(view, cluster, SETTLING_SECONDS)
    if status == 0:
        print(f"nothing is left of {cluster} in {access.namespace}", flush=True)
    return 1 if status == LEFT else 0


def _live(account: Account, autoscalers: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # so that the guardian is waited for
    for autoscaler in autoscalers:
        began = time.monotonic()
        try:
            live(account, autoscaler, f"raydog-live-{secrets.token_hex(4)}-{autoscaler}")
        except LifeFailed as error:
            print(f"FAILED, autoscaler {autoscaler}: {error}", flush=True)
            return 1
        print(f"    all ok, and nothing is left ({time.monotonic() - began:.0f} s)", flush=True)
    return 0


def _variables() -> str:
    lines = [f"  {name:28} {what}" for name, what in VARIABLES.items()]
    more = [f"  {name:28} {what}" for name, what in OPTIONS.items()]
    return "\n".join(["A live run needs these variables:", *lines, "and may have these:", *more])


if __name__ == "__main__":
    sys.exit(main())
