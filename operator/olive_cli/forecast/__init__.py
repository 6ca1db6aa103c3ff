"""What a new spec would run: by the operator's own graph, keys and needs. Pure."""
