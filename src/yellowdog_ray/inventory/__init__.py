"""Clusters without a YAML. May import `commands`, `config`, `cluster`, `platform`, `node` and the base modules."""
