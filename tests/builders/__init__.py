"""Small builders for the stories that tests tell."""

from builders.jobs import adapter, job_seen, spec
from builders.world import CONFIG, NOON, World

__all__ = ["CONFIG", "NOON", "World", "adapter", "job_seen", "spec"]
