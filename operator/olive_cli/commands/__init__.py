"""A module for each command: reads, has it worked out, and draws."""
