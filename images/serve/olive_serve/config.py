"""The command line, as one frozen value."""

import argparse
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Config:
    """What the server was started with; times in seconds, lengths in tokens."""

    store: Path
    serving: Path
    host: str
    port: int
    health_port: int
    local: Path | None
    local_size_limit: int | None
    api_keys: Path | None
    page: bool
    threads: int | None
    max_model_len: int
    max_running: int
    max_waiting: int
    grace: int
    load_timeout: float
    engine_timeout: float
    retry: float


def parse(argv: list[str] | None = None) -> Config:
    """The configuration that the arguments say; exits with a usage message for wrong ones."""
    parser = argparse.ArgumentParser(prog="olive_serve", description=__doc__)
    add = parser.add_argument
    add("--store", type=Path, required=True, help="folder of artifacts; only read")
    add("--serving", type=Path, required=True, help="serving.json; watched")
    add("--local", type=Path, help="folder to copy the model to, and load it from")
    add("--local-size-limit", type=int, help="bytes that may lie there (default: as many as fit)")
    add("--host", default="0.0.0.0")  # noqa: S104 - a pod's address is not known beforehand
    add("--port", type=int, default=8080)
    add("--health-port", type=int, default=8081, help="of probes, metrics and the operator")
    add("--api-keys", type=Path, help="folder with a key in each file; without it nobody needs one")
    add("--page", action=argparse.BooleanOptionalAction, default=True, help="the chat page at /")
    add("--threads", type=int, help="computing threads (default: the CPU quota of the cgroup)")
    add("--max-model-len", type=int, default=4096, help="most tokens of prompt and answer")
    add("--max-running", type=int, default=8, help="answers computed at a time")
    add("--max-waiting", type=int, default=64, help="requests queued before 429")
    add("--grace", type=int, default=25, help="seconds for running requests after SIGTERM")
    add("--load-timeout", type=float, default=600.0, help="seconds for loading the model")
    add("--engine-timeout", type=float, default=60.0, help="silence after which it counts as hung")
    add("--retry", type=float, default=30.0, help="seconds between tries of a bad artifact")
    return Config(**vars(parser.parse_args(argv)))
