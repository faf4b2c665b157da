"""Programs of a node, and the variables that laptop, head and worker pass to each other. May import nothing."""
