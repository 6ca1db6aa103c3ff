"""What is there: listed once, then watched, kept as records that are found by what they are for."""
