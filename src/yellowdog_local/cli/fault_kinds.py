"""The kinds of faults in a sentence each, for who chooses one. Plain text, so that a command line starts quickly."""

from __future__ import annotations

KINDS = {
    "status": "The call is not served; this is answered instead.",
    "apply-then-fail": "The call is served, and the caller is told that it failed.",
    "hang": "The call is not answered, until the rule is removed; then it is served as if nothing had been.",
    "cut": "The call is served, and the connection closed in the middle of the answer.",
    "delay": "The call is served later. The time is real even where the platform's clock is stepped.",
    "key-revoked": "The application key is no longer valid: every call is answered 401, until the rule is removed.",
    "listing-lag": "Lists do not show what was made in the last seconds. What has merely changed is shown as it is.",
    "never-boots": "The instance is accepted and stays PENDING; there is no machine behind it.",
    "never-registers": "The instance boots, but its agent is never accepted as a platform node.",
    "lost": "The instance of a platform node dies by itself. Nodes that run already are meant too, the oldest first.",
    "task-exits": "The task ends as soon as it has started, without having run.",
    "abort-lost": "The abort of a task (or its timeout) is accepted and shown, but never reaches the agent.",
    "capacity": "The cloud behind a source has no more machines; the source is ERRORED with the cloud's words.",
}
