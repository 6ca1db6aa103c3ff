"""The engine's process: reads commands and writes events, one JSON object a line."""
