"""The platform's records, the lock that guards them, and time. May import the base modules."""
