"""Measurements of `scripts/bench local`: the local platform itself."""
