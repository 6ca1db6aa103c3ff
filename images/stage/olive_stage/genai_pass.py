"""GenAIModelBuilder: onnxruntime-genai's builder as an Olive pass, for workflows.

Olive's own ModelBuilder drives older builders only. Registered through Olive's package
configuration, it stands in a workflow as ``{"type": "GenAIModelBuilder", "precision": "int4"}``.
"""

from pathlib import Path
from typing import Any

from olive.hardware.accelerator import AcceleratorSpec
from olive.model import HfModelHandler, ONNXModelHandler
from olive.passes import Pass
from olive.passes.pass_config import BasePassConfig, PassConfigParam

from olive_stage.export import BUILDER_PROVIDERS
from olive_stage.genai_folder import MODEL_FILE


class GenAIModelBuilder(Pass):  # type: ignore[misc]
    """A Hugging Face model, float or quantized by Olive, as a folder for onnxruntime-genai."""

    @classmethod
    def _default_config(cls, accelerator_spec: AcceleratorSpec) -> dict[str, PassConfigParam]:
        return {
            "precision": PassConfigParam(
                type_=str,
                default_value="int4",
                description="Of the graph: int4, fp16 or fp32.",
            ),
            "extra_options": PassConfigParam(
                type_=dict[str, Any],
                default_value={},
                description="Options of the builder, as its command line's --extra_options.",
            ),
        }

    def _run_for_config(
        self, model: HfModelHandler, config: type[BasePassConfig], output_model_path: str
    ) -> ONNXModelHandler:
        from onnxruntime_genai.models.builder import create_model, parse_extra_options

        out = Path(output_model_path).with_suffix("")
        trusted = bool(model.get_load_kwargs().get("trust_remote_code"))
        provider = BUILDER_PROVIDERS.get(str(self.accelerator_spec.execution_provider), "cpu")
        cache = str(out.parent / "builder")
        where = ("", model.model_path, str(out), config.precision, provider, cache)
        options = builder_options(config.extra_options, trusted)
        create_model(*where, **parse_extra_options(*where, options))
        beside = [p for p in out.iterdir() if not p.name.startswith(MODEL_FILE)]
        return ONNXModelHandler(
            str(out),
            onnx_file_name=MODEL_FILE,
            model_attributes={"additional_files": sorted(map(str, beside))},
        )


def builder_options(asked: dict[str, Any], trusted: bool) -> list[str]:
    """The builder's ``KEY=VALUE``, of which the last counts: ``asked``, but for the hub's.

    Unless asked otherwise, each projection has a place for a LoRA. Nothing is asked of the hub, and
    the model's own code runs if it is ``trusted``.
    """
    usual, ours = {"fuse_qkv": False}, {"hf_token": False, "hf_remote": trusted}
    parts: tuple[dict[str, Any], ...] = (usual, asked, ours)
    return [f"{key}={_text(value)}" for part in parts for key, value in part.items()]


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
