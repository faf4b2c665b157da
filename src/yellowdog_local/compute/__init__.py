"""Compute requirements, their sources and instances."""
