"""Pickles that run programs, claim memory or hold no tensors, where pickles are allowed at all."""

import io
import os
import pickle
import subprocess
import zipfile
from collections.abc import Iterator
from typing import Any

import torch
from hostile.case import CANARY, Case
from source_files import MODEL, lora


class Runs:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def saved(body: Any, **options: Any) -> bytes:
    out = io.BytesIO()
    torch.save(body, out, **options)
    return out.getvalue()


def zipped(**entries: bytes) -> bytes:
    """A zip as torch writes one, of these entries below ``archive/``."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, body in entries.items():
            archive.writestr(f"archive/{name.replace('_', '.')}", body)
    return out.getvalue()


def laughing() -> bytes:
    """A list of lists of lists: 10^30 elements in a few hundred bytes."""
    body: Any = ["ha"]
    for _ in range(30):
        body = [body] * 10
    return pickle.dumps({"w": body})


def cases() -> Iterator[Case]:
    for name, body in PICKLES.items():
        yield _allowed(f"pickle: {name}", body)
        if body.startswith(b"\x80"):
            yield _allowed(f"pickle in a zip: {name}", zipped(data_pkl=body, version=b"3\n"))
    without = {**MODEL, "model.safetensors": None, "pytorch_model.bin": PICKLES["os.system"]}
    yield Case("a pickle that is not allowed", says="allowPickle", files=without)
    beside = {**MODEL, "pytorch_model.bin": PICKLES["os.system"]}
    yield Case(
        "a pickle beside safetensors",
        "Succeeded",
        files=beside,
        params={"allowPickle": True},
    )
    yield Case(
        "an adapter's pickle that runs a program",
        says="adapter_model.bin",
        what="adapter",
        files={"adapter_config.json": lora(), "adapter_model.bin": PICKLES["os.system"]},
        params={"allowPickle": True},
    )
    shard = b'{"weight_map": {"w": "../../etc/passwd"}}'
    whole = saved({"model.embed_tokens.weight": torch.zeros(8, 4)})
    files = {"pytorch_model.bin": whole, "pytorch_model.bin.index.json": shard}
    yield Case(
        "a pickle's index that climbs",
        "SourceNotFound",
        files={**MODEL, "model.safetensors": None, **files},
        params={"allowPickle": True},
    )


def _allowed(name: str, body: bytes) -> Case:
    files = {**MODEL, "model.safetensors": None, "pytorch_model.bin": body}
    return Case(name, says="pytorch_model.bin", files=files, params={"allowPickle": True})


TOUCH = f"touch {CANARY}"
OPEN = f"open({CANARY!r}, 'w')"
PICKLES: dict[str, bytes] = {
    "os.system": pickle.dumps(Runs(os.system, TOUCH)),
    "eval": pickle.dumps(Runs(eval, OPEN)),
    "exec": pickle.dumps(Runs(exec, OPEN)),
    "open": pickle.dumps(Runs(open, CANARY, "w")),
    "subprocess": pickle.dumps(Runs(subprocess.check_output, ["touch", CANARY])),
    "code in a tensor's place": pickle.dumps({"w": Runs(os.system, TOUCH)}),
    "code by the first protocol": pickle.dumps(Runs(os.system, TOUCH), protocol=0),
    "code by name": b"cposix\nsystem\n(S'" + TOUCH.encode() + b"'\ntR.",
    "torch.load of another": pickle.dumps(Runs(torch.load, CANARY)),
    "a whole module": saved(torch.nn.Linear(2, 2)),
    "10^30 elements": laughing(),
    "100 000 deep": b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b".",
    "a gigantic text": b"\x80\x04\x8d" + (2**62).to_bytes(8, "little") + b"x.",
    "a gigantic memo": b"\x80\x04K\x01r" + (2**32 - 1).to_bytes(4, "little") + b".",
    "a list": saved([torch.zeros(2)]),
    "no tensors": saved({}),
    "numbers": saved({"w": 1.5}),
    "tensors inside": saved({"model": {"w": torch.zeros(2)}}),
    "a number for a name": saved({7: torch.zeros(2)}),
    "a sparse tensor": saved({"w": torch.eye(2).to_sparse()}),
    "one element shown 10^12 times": saved({"w": torch.zeros(1).expand(10**12)}),
    "one element shown 10^12 times, as of old": saved(
        {"w": torch.zeros(1).expand(10**12)}, _use_new_zipfile_serialization=False
    ),
    "cut": saved({"w": torch.zeros(100)})[:-200],
    "empty": b"",
    "text": b"weights",
    "zeros": bytes(4096),
    "a zip of nothing": zipped(),
    "a zip that climbs": zipped(**{"../../../../tmp/olive-stage-canary": b"x"}),
}
