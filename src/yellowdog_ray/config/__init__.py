"""YAML in, YAML out: models, bootstrap, task environments. May import `node` and the base modules."""
