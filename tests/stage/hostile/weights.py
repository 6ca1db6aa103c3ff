"""Weights files that are cut, lie about themselves, or are something else; and indexes of them."""

import gzip
import json
import pickle
from collections.abc import Iterator
from typing import Any

from hostile.case import Case
from source_files import MODEL, WEIGHTS, header, packed, safetensors

WHOLE = MODEL["model.safetensors"]
CUTS = (0, 1, 2, 4, 7, 8, 9, 12, 16, 32, 64, 100, 128, 160, 200, 240, -100, -64, -32, -8, -2, -1)
NAME = "model.embed_tokens.weight"
HEAD = header(WEIGHTS)
SIZE = 8 * 4 * 4
DATA = bytes(192)


def changed(**fields: Any) -> dict[str, Any]:
    """The header, of whose first tensor these fields are other or (None) absent."""
    tensor = {k: v for k, v in {**HEAD[NAME], **fields}.items() if v is not None}
    return {**HEAD, NAME: tensor}


def model(name: str, weights: bytes, says: str = "model.safetensors", **other: Any) -> Case:
    return Case(name, says=says, files={**MODEL, "model.safetensors": weights}, **other)


def cases() -> Iterator[Case]:
    for cut in CUTS:
        yield model(f"weights cut at byte {cut}", WHOLE[:cut])
    for name, head in HEADERS.items():
        yield model(f"header: {name}", packed(head, DATA))
    for name, body in BODIES.items():
        yield model(f"weights are {name}", body)
    for name, index in INDEXES.items():
        ends = "SourceNotFound" if "not there" in name else "InvalidInput"
        files = {**MODEL, "model.safetensors.index.json": index}
        yield Case(f"index: {name}", ends, "model.safetensors.index.json", files=files)
    twice = {**MODEL, "model-2.safetensors": WHOLE}
    yield Case("one tensor in two files", says="another file holds too", files=twice)
    yield Case("a name of 100 000 letters", "Succeeded", files=_more("n" * 100_000))
    many = {f"t{n}": ("F32", (0,)) for n in range(100_000)}
    files = {**MODEL, "model.safetensors": safetensors({**WEIGHTS, **many})}
    yield Case("100 000 tensors of no elements", "Succeeded", files=files)
    yield Case("a name that climbs", "Succeeded", files=_more("../../../etc/passwd"))
    yield Case("a name of two lines", "Succeeded", files=_more("a\nb\0c"))


def _more(name: str) -> dict[str, bytes]:
    return {**MODEL, "model.safetensors": safetensors({**WEIGHTS, name: ("F32", (1,))})}


HEADERS: dict[str, Any] = {
    "tensors that overlap": changed(data_offsets=[64, 64 + SIZE]),
    "a hole": changed(data_offsets=[0, SIZE - 16], shape=[7, 4]),
    "beyond the end": changed(data_offsets=[10**6, 10**6 + SIZE]),
    "the end before the beginning": changed(data_offsets=[SIZE, 0]),
    "a negative offset": changed(data_offsets=[-SIZE, 0]),
    "an offset of 2^63": changed(data_offsets=[0, 2**63]),
    "an offset of 2^64": changed(data_offsets=[0, 2**64]),
    "one offset": changed(data_offsets=[0]),
    "offsets as texts": changed(data_offsets=["0", "128"]),
    "no offsets": changed(data_offsets=None),
    "a negative shape": changed(shape=[-8, -4]),
    "a shape of 2^60": changed(shape=[2**60]),
    "a shape that overflows": changed(shape=[2**62, 2**62]),
    "a shape that overflows to the right size": changed(shape=[2**32, 2**32 + 1]),
    "a shape of fractions": changed(shape=[8.0, 4.5]),
    "a shape of texts": changed(shape=["8", "4"]),
    "a shape of a million ones": changed(shape=[1] * 1_000_000 + [9]),
    "another shape": changed(shape=[8, 5]),
    "no shape": changed(shape=None),
    "an unknown type": changed(dtype="F31"),
    "a type as a number": changed(dtype=32),
    "a wider type": changed(dtype="F64"),
    "no type": changed(dtype=None),
    "a tensor as a list": {**HEAD, NAME: []},
    "a tensor as null": {**HEAD, NAME: None},
    "metadata of numbers": {**HEAD, "__metadata__": {"n": 1}},
    "metadata as a list": {**HEAD, "__metadata__": [1]},
    "no tensors": {},
    "only metadata": {"__metadata__": {"format": "pt"}},
    "a list": [],
    "a text": "header",
    "NaN": b"NaN",
    "spaces": b" " * 64,
    "zeros": bytes(64),
    "not UTF-8": b'{"\xff\xfe": 1}',
    "lists 100 000 deep": b"[" * 100_000,
    "objects 100 000 deep": b'{"a":' * 100_000,
    "a name twice with other offsets": (
        b'{"a":{"dtype":"U8","shape":[96],"data_offsets":[0,96]},'
        b'"a":{"dtype":"U8","shape":[96],"data_offsets":[96,192]}}'
    ),
    "17 MiB of header": b'{"a":"' + b"x" * (17 << 20) + b'"}',
}

BODIES: dict[str, bytes] = {
    "longer than said": WHOLE + b"x",
    "ten times as long as said": WHOLE + WHOLE * 9,
    "of a header of 0 bytes": packed(HEAD, DATA, 0),
    "of a header of 2 bytes": packed(HEAD, DATA, 2),
    "of a header as long as the file": packed(HEAD, DATA, len(WHOLE)),
    "of a header of 2^31 bytes": packed(HEAD, DATA, 2**31),
    "of a header of 2^63 bytes": packed(HEAD, DATA, 2**63),
    "of a header of 2^64 - 1 bytes": packed(HEAD, DATA, 2**64 - 1),
    "a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "a page of HTML": b"<!DOCTYPE html><html><body>Sign in to continue</body></html>",
    "packed by gzip": gzip.compress(WHOLE),
    "a pickle": pickle.dumps({"model.embed_tokens.weight": [0.0]}),
    "a zip": b"PK\x03\x04" + bytes(200),
    "zeros": bytes(4096),
    "0xff": b"\xff" * 4096,
}


def _index(weight_map: Any) -> bytes:
    return json.dumps({"weight_map": weight_map}).encode()


INDEXES: dict[str, bytes] = {
    "a shard not there": _index({NAME: "model-00001-of-00002.safetensors"}),
    "a shard that climbs, not there": _index({NAME: "../../../etc/passwd"}),
    "a shard with a whole path, not there": _index({NAME: "/etc/passwd"}),
    "a shard as a number, not there": _index({NAME: 7}),
    "a shard as null, not there": _index({NAME: None}),
    "a shard that is the config, not there": _index({NAME: "config.json"}),
    "a shard named with NUL, not there": _index({NAME: "a\0.safetensors"}),
    "a shard's name of 5000 letters, not there": _index({NAME: "x" * 5000}),
    "a tensor that the shard lacks": _index({"other.weight": "model.safetensors"}),
    "a list of shards": _index([NAME]),
    "no map": b"{}",
    "a map as a text": _index("model.safetensors"),
    "no JSON": b"{",
    "a list": b"[]",
    "100 000 deep": b'{"weight_map":' * 100_000,
    "6 million lists": b'{"weight_map": [' + b"[]," * 6_000_000 + b"[]]}",
}
