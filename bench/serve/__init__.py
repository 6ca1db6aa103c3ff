"""How fast a model with adapters answers on CPU; run with the server's environment."""
