"""What later stages are given, had nothing looked at it before: check and adapter refuse it too."""

from collections.abc import Iterator, Mapping
from typing import Any

from hostile.case import CANARY, Case, Stored
from source_files import ADAPTER, LORA_WEIGHTS, MODEL, Shapes, config, lora, safetensors

WIDE: Shapes = {
    "model.embed_tokens.weight": ("F32", (8, 32)),
    "model.layers.0.mlp.down_proj.weight": ("F32", (32, 32)),
}
FITTING = {
    **MODEL,
    "config.json": config(hidden_size=32),
    "model.safetensors": safetensors(WIDE),
}
QUANTIZE = {"algorithm": "rtn", "precision": "int4", "groupSize": 32}
CALIBRATED = {
    **QUANTIZE,
    "algorithm": "gptq",
    "calibration": {"template": "{text}", "samples": 8, "maxLength": 64},
}
LORA = {
    "rank": 2,
    "alpha": 4,
    "maxSteps": 1,
    "batchSize": 1,
    "learningRate": 1e-4,
    "maxLength": 16,
    "seed": 0,
}
ROWS = b'{"text": "a"}\n' * 16
A, B = LORA_WEIGHTS
SITE = {"name": "model.layers.0.mlp.down_proj", "in": 4, "out": 4, "element": "float32"}
BASE = Stored({"model.onnx": b""}, {"model": "f" * 64, "lora": [SITE]})


def cases() -> Iterator[Case]:
    for name, files in MODELS.items():
        model = {"model": Stored({**FITTING, **files})}
        yield check(f"check: {name}", "quantize", QUANTIZE, model)
    for name, body in DATA.items():
        inputs = {"model": Stored(FITTING), "calibration": Stored({"data.jsonl": body})}
        yield check(f"check: calibration of {name}", "quantize", CALIBRATED, inputs)
        given = {"template": "{text}", "evalSplit": 0.5, "lora": LORA}
        inputs = {"model": Stored(FITTING), "data": Stored({"data.jsonl": body})}
        yield check(f"check: training on {name}", "finetune", given, inputs)
    for name, changes in LORAS.items():
        given = {"template": "{text}", "evalSplit": 0.5, "lora": {**LORA, **changes}}
        inputs = {"model": Stored(FITTING), "data": Stored({"data.jsonl": ROWS})}
        yield check(f"check: a LoRA with {name}", "finetune", given, inputs)
    for name, files in ADAPTERS.items():
        inputs = {"base": BASE, "adapter": Stored({**ADAPTER, **files})}
        yield Case(f"conversion: {name}", kind="adapter", inputs=inputs)


def check(name: str, kind: str, given: Mapping[str, Any], inputs: Mapping[str, Stored]) -> Case:
    return Case(name, kind="check", params={"kind": kind, "params": given}, inputs=inputs)


MODELS: dict[str, dict[str, bytes]] = {
    "a model that is quantized": {
        "config.json": config(hidden_size=32, quantization_config={"quant_method": "awq"})
    },
    "a model that is quantized by a text": {
        "config.json": config(hidden_size=32, quantization_config="awq")
    },
    "a model that is quantized by a list": {
        "config.json": config(hidden_size=32, quantization_config=[1])
    },
    "a model of 10^12 layers": {"config.json": config(num_hidden_layers=10**12)},
    "a model without linear layers": {
        "model.safetensors": safetensors({"model.embed_tokens.weight": ("F32", (8, 32))})
    },
    "layers that no group divides": {
        "model.safetensors": safetensors({**WIDE, "x.layers.0.up_proj.weight": ("F32", (32, 31))})
    },
    "weights that are cut": {"model.safetensors": safetensors(WIDE)[:-1]},
    "a config of garbage": {"config.json": b"\xff"},
}
DATA: dict[str, bytes] = {
    "nothing": b"",
    "one row": b'{"text": ""}\n',
    "empty texts": b'{"text": ""}\n' * 16,
    "another column": b'{"prompt": "a"}\n' * 16,
    "NaN": b'{"text": NaN}\n' * 16,
    "lists 100 000 deep": b"[" * 100_000,
    "garbage": b"\xff\xfe" * 100,
    "code": f"__import__('os').system('touch {CANARY}')\n".encode() * 16,
}
LORAS: dict[str, dict[str, Any]] = {
    "unknown modules": {"targetModules": ["nothing_proj"]},
    "modules by an expression": {"targetModules": ["(a+)+$"]},
    "layers that are not there": {"layersToTransform": [7]},
    "every module left out": {"excludeModules": ["down_proj"]},
    "a rank of 0": {"rank": 0},
    "a rank of -1": {"rank": -1},
    "an unknown field": {"magic": 1},
    "a rank as a text": {"rank": "2"},
}


def weights(shapes: Shapes) -> dict[str, bytes]:
    return {"adapter_model.safetensors": safetensors(shapes)}


def at(module: str, inputs: int = 4, outputs: int = 4) -> dict[str, bytes]:
    path = f"base_model.model.model.layers.{module}"
    return weights(
        {
            f"{path}.lora_A.weight": ("F32", (2, inputs)),
            f"{path}.lora_B.weight": ("F32", (outputs, 2)),
        }
    )


ADAPTERS: dict[str, dict[str, bytes]] = {
    "wider than the base": at("0.mlp.down_proj", inputs=8),
    "narrower than the base": at("0.mlp.down_proj", outputs=2),
    "more layers than the base": at("7.mlp.down_proj"),
    "layer 10^30": at(f"{10**30}.mlp.down_proj"),
    "a projection that the base lacks": at("0.mlp.magic_proj"),
    "a fused projection that the base lacks": at("0.self_attn.qkv_proj"),
    "A without B": weights({A: LORA_WEIGHTS[A]}),
    "ranks that differ": weights({A: ("F32", (2, 4)), B: ("F32", (4, 3))}),
    "a rank of 0": weights({A: ("F32", (0, 4)), B: ("F32", (4, 0))}),
    "no tensors": weights({}),
    "integers": weights({A: ("I64", (2, 4)), B: ("I64", (4, 2))}),
    "three dimensions": weights({A: ("F32", (2, 2, 2)), B: ("F32", (4, 2))}),
    "no dimension": weights({A: ("F32", ()), B: ("F32", ())}),
    "another kind of tensor": weights({**LORA_WEIGHTS, "lm_head.weight": ("F32", (8, 4))}),
    "two modules for one place": weights(
        {**LORA_WEIGHTS, **{n.replace("base_model.", "other."): s for n, s in LORA_WEIGHTS.items()}}
    ),
    "alpha as a text": {"adapter_config.json": lora(lora_alpha="4")},
    "alpha infinite": {"adapter_config.json": lora(lora_alpha=float("inf"))},
    "alpha NaN": {"adapter_config.json": lora(lora_alpha=float("nan"))},
    "alpha of 10^400": {"adapter_config.json": lora(lora_alpha=10**400)},
    "an expression that is none": {"adapter_config.json": lora(alpha_pattern={"(": 1})},
    "an expression that repeats": {"adapter_config.json": lora(alpha_pattern={"(a+)+$": 1})},
    "a pattern as a list": {"adapter_config.json": lora(alpha_pattern=[1])},
    "DoRA": {"adapter_config.json": lora(use_dora=True)},
    "saved modules": {"adapter_config.json": lora(modules_to_save=["lm_head"])},
    "config empty": {"adapter_config.json": b""},
    "config a list": {"adapter_config.json": b"[]"},
    "config 100 000 deep": {"adapter_config.json": b'{"r":' * 100_000},
    "weights cut": {"adapter_model.safetensors": ADAPTER["adapter_model.safetensors"][:-1]},
    "weights of garbage": {"adapter_model.safetensors": b"\xff" * 100},
}
