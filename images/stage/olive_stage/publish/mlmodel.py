"""The MLmodel file of a version of type mlflow: where MLflow finds the ONNX model in it. Pure.

The flavor is MLflow's own for ONNX (mlflow.org/docs, "ONNX"); JSON is YAML.
"""

import json
from typing import Final

from olive_stage.genai_folder import MODEL_FILE
from olive_stage.publish.origin import Origin

MLMODEL_FILE: Final = "MLmodel"


def mlmodel(origin: Origin) -> str:
    """The file's text. The adapters are none of MLflow's business: they lie beside."""
    flavor = {"data": MODEL_FILE, "providers": ["CPUExecutionProvider"], "code": None}
    version = origin.libraries.get("onnx", "none")
    body = {
        "flavors": {
            "onnx": {**flavor, "onnx_version": version},
            "python_function": {"loader_module": "mlflow.onnx", "data": MODEL_FILE},
        },
        "model_uuid": origin.content[:32],
        "metadata": {"olive-operator.content": origin.content, "olive-operator.job": origin.job},
    }
    return json.dumps(body, indent=1, sort_keys=True) + "\n"
