"""Pictures of `raydog` commands for the documentation, recorded from one simulated life of a cluster."""
