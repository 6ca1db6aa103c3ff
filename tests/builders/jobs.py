"""Specs and jobs as the API server would hand them over."""

from typing import Any

from olive_operator.api.seen import JobSeen
from olive_operator.api.spec import Spec
from olive_operator.api.status import Status

UNSEEN = Status(observedGeneration=-1)
"""The API server's default: of a job that no operator has looked at."""


def adapter(name: str, **lora: Any) -> dict[str, Any]:
    """An adapter that is trained on a data set of its own name."""
    data = {"source": f"pvc://data/{name}.jsonl", "template": "{prompt} {response}"}
    return {"name": name, "data": data, "lora": lora}


def spec(**sections: Any) -> dict[str, Any]:
    """The usual job (quantize, one adapter, evaluate, serve) with sections replaced or left out.

    A section given as None is left out.
    """
    usual: dict[str, Any] = {
        "model": {"source": "pvc://models/tiny"},
        "quantize": {"algorithm": "rtn", "groupSize": 32},
        "adapters": [adapter("travel")],
        "evaluate": {},
        "serve": {},
    }
    return {k: v for k, v in {**usual, **sections}.items() if v is not None}


def job_seen(body: dict[str, Any], status: Status | None = None, **fields: Any) -> JobSeen:
    """The job ``ml/travel`` with this spec."""
    values = {"namespace": "ml", "name": "travel", "uid": "u1", "generation": 1, **fields}
    return JobSeen(spec=Spec.from_body(body), status=status or UNSEEN, **values)
