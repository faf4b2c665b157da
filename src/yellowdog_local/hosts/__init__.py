"""The machines behind instances, one backend per kind. May import `agents`, `state` and the base modules."""
