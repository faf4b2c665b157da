"""Requirements and instances. May import `account`, `events`, `hosts`, `state` and the base modules."""
