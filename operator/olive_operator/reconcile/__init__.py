"""The loops: observe, plan, carry out, for every job; and the upkeep of every store."""
