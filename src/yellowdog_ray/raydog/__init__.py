"""The import path of existing YAML. May import `provider`."""
