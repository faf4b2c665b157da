"""The HTTP face of the local platform: one module of routes per service, and what they share."""
