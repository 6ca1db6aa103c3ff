"""The parts of bench/controller.py: a cluster that is played, the operator, and who measures."""
