"""What is written for a terminal or a pipe: text of others made plain, numbers and times spoken."""
