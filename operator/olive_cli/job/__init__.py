"""A job as a person sees it: read from its body, in words, as lines and as a table. Pure."""
