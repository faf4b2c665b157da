"""The programs that run on a host. Standard library only; imports nothing of the platform."""
