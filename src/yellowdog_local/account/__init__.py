"""Namespaces, keyrings, allowances and policies of the account. May import `state` and the base modules."""
