"""What runs on a node, and the variables that laptop, head and worker hand each other. Imports nothing."""
