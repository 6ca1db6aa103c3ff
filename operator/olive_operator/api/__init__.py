"""Typed models of what the operator reads and writes: spec, status and observed children."""
