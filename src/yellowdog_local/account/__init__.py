"""Namespaces, keyrings, allowances and policies of the one account."""
