"""Work requirements, task groups and tasks. May import `account`, `state` and the base modules."""
