"""Clusters found without a YAML. May import `commands`, `cluster`, `platform`, `node` and the base modules."""
