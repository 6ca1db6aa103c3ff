"""The environment every stage runs in, set before any library is imported.

No telemetry, no network but for stages that fetch or publish, no writes outside the temporary
folder (the root file system is read-only), and as many threads as the container may use.
"""

import os
import tempfile
from pathlib import Path

from olive_stage.cpu_quota import usable_cpus

ALWAYS = {
    "CI": "1",
    "ORT_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "OMP_WAIT_POLICY": "PASSIVE",  # on a shared node spinning threads took 7 times as long
    "HF_XET_CHUNK_CACHE_SIZE_BYTES": "0",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",
}
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")
OUTGOING = ("fetch", "publish")
"""Kinds of stages that may reach out."""
CACHES = ("HF_HOME", "XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "HOME")


def prepare(kind: str) -> None:
    """Set the process's environment for a stage of this kind."""
    os.environ.update(ALWAYS)
    os.environ.update(dict.fromkeys(OFFLINE, "0" if kind in OUTGOING else "1"))
    for name in CACHES:
        os.environ[name] = str(Path(tempfile.gettempdir()) / f"olive-{name.lower()}")
    os.environ.setdefault("OMP_NUM_THREADS", str(usable_cpus()))
