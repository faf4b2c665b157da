"""Supervisor of the head's processes: it starts again those that die. May import `node` and the base modules."""
