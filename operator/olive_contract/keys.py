"""Content addresses: the name of an artifact is the hash of everything that decides its content.

What is hashed: the kind of stage, its recipe version, its resolved parameters and the keys of its
inputs. Library versions are recorded in the artifact, not hashed: an upgrade re-runs nothing by
itself (see docs/adr/0001-keys-and-records.md).
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

RECIPES: Final[Mapping[str, int]] = {
    "fetch": 1,
    "check": 1,
    "quantize": 1,
    "workflow": 1,
    "finetune": 2,
    "export": 2,
    "adapter": 1,
    "reference": 1,
    "evaluate": 2,
    "publish": 1,
}
"""Raised by hand when a stage would give another result for the same parameters and inputs."""

KEY_LENGTH: Final = 64
"""Characters of a key: a SHA-256 in lower-case hexadecimal."""


def canonical(value: Any) -> str:
    """The one JSON text of a value: sorted names, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def digest(value: Any) -> str:
    """SHA-256 of a value's canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


def artifact_key(kind: str, params: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """The key of what a stage of this kind makes from these parameters and inputs.

    ``inputs`` maps the input's role (``model``, ``data``, ``adapter``…) to its artifact's key.
    Raises KeyError for a kind without a recipe.
    """
    return digest(
        {"kind": kind, "recipe": RECIPES[kind], "params": dict(params), "inputs": dict(inputs)}
    )


def content_key(what: str, content: str) -> str:
    """The key of a fetched artifact: what it is, and the digest or commit of what was fetched."""
    return artifact_key("fetch", {"what": what, "content": content}, {})
