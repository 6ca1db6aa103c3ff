"""The one exception that a person is to read."""


class CliError(Exception):
    """What is wrong, where, and what to do about it; printed without a traceback."""
