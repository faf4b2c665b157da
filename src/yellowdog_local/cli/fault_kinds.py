"""One sentence about each kind of fault, for help texts. Imports nothing, so that the command line starts quickly."""

from __future__ import annotations

KINDS = {
    "status": "The call is not served; the given status is returned.",
    "apply-then-fail": "The call is served, but an error is returned.",
    "hang": "The call is not answered until the rule is removed; then it is served.",
    "cut": "The call is served, and the connection is closed within the answer.",
    "delay": "The call is served after a delay in real time, whatever the platform's clock.",
    "drip": "The call is served, and its answer sent byte by byte, in real time.",
    "key-revoked": "The API key is invalid: every call returns 401 until the rule is removed.",
    "listing-lag": "Lists omit what was created in the last `seconds` seconds. Changes of older entities are shown.",
    "never-boots": "The instance is accepted and stays PENDING, without a host.",
    "never-registers": "The instance boots, but its agent is never registered as a platform node.",
    "lost": "The instance of a platform node ends unexpectedly. Applies to running nodes too, oldest first.",
    "task-exits": "The task ends as soon as it starts, without running.",
    "abort-lost": "The abort or timeout of a task is accepted and shown, but never reaches the agent.",
    "capacity": "The cloud of a source has no capacity; the source is ERRORED with the cloud's message.",
}
