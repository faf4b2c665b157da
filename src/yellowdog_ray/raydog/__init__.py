"""Where existing users' YAML looks for the provider."""
