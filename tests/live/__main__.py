"""`scripts/test --live`: the life of a cluster on a YellowDog account, with each autoscaler."""

from __future__ import annotations

import argparse
import os
import secrets
import signal
import sys
import time

from tests.live.account import OPTIONS, VARIABLES, Account, AccountError, NoAccountError
from tests.live.life import LifeFailed, live


def main() -> int:
    """The command. Returns 0 too if it was skipped because a variable is missing, and 2 if a value is invalid."""
    parser = argparse.ArgumentParser("scripts/test --live --")
    parser.add_argument("--autoscaler", choices=("v1", "v2"), action="append")
    autoscalers = parser.parse_args().autoscaler or ["v2", "v1"]
    try:
        account = Account.of(os.environ)
    except NoAccountError as error:
        print(f"SKIPPED: {error}\n\n{_variables()}", flush=True)
        return 0
    except AccountError as error:
        print(f"INVALID: {error}\n\n{_variables()}", flush=True)
        return 2
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
