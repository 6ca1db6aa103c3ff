"""When something has its turn: a queue without duplicates, a pace, a wait that grows."""
