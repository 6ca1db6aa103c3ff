"""What a serving pod is told to serve: ``serving.json``, mounted from a ConfigMap.

The model's key never changes during a pod's life (another base is another pod); adapters come and
go with the file, without a restart.
"""

import json
from dataclasses import asdict, dataclass
from typing import Final

from olive_contract.serial import decode

SERVING_FILE: Final = "serving.json"
BASE_NAME: Final = "base"
"""The name under which the API offers the model without any adapter."""


@dataclass(frozen=True)
class ServedAdapter:
    """An adapter by its name in the API and the key of its converted artifact."""

    name: str
    key: str


@dataclass(frozen=True)
class Serving:
    """The export to load, and the adapters to offer beside it."""

    job: str
    model: str
    adapters: tuple[ServedAdapter, ...] = ()

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True, indent=1)

    @staticmethod
    def from_json(text: str) -> "Serving":
        """ValueError names the field that is wrong or missing."""
        return decode(Serving, json.loads(text))
