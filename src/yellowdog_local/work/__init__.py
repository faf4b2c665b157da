"""Work requirements, task groups and tasks."""
