"""What the stores keep: artifacts as they are recorded, and the policy by which they go."""
