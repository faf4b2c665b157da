"""The `raydog` command."""
