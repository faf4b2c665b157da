"""Pools and nodes. May import `account`, `agents`, `compute`, `events`, `state`, `work` and the base modules."""
