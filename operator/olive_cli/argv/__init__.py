"""The command line: the parser, what each command takes, and its completion."""
