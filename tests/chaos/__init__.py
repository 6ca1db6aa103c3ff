"""A soak of the whole controller under random faults: ``python -m chaos``, or ``make chaos``."""
