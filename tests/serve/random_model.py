"""A real decoder of random weights, as the export makes them: int4 products, rotary attention with
grouped heads, and places for LoRAs. Its answers can be foreseen by nobody but another runtime.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnxruntime as ort
import tiny_model
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

VOCAB: Final = 320
HIDDEN, LAYERS, HEADS, KV_HEADS, HEAD, INNER, CONTEXT = 128, 3, 4, 2, 32, 256, 512
BLOCK: Final = 32
FLOAT_ACTIVATIONS, INT8_ACTIVATIONS = 1, 4


@dataclass(frozen=True)
class Site:
    """A projection that takes a LoRA."""

    name: str
    inputs: int
    outputs: int


class _Builder:
    def __init__(self, accuracy: int) -> None:
        self.random = np.random.default_rng(0)
        self.accuracy = accuracy
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, NDArray[Any]] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.sites: list[Site] = []

    def add(self, op: str, inputs: list[str], *outputs: str, domain: str = "", **more: Any) -> str:
        name = "/" + outputs[0]
        self.nodes.append(helper.make_node(op, inputs, outputs, name, domain=domain, **more))
        return outputs[0]

    def weight(self, name: str, value: NDArray[Any]) -> str:
        self.weights[name] = value
        return name

    def int4(self, x: str, name: str, inputs: int, outputs: int, to: str) -> str:
        blocks = inputs // BLOCK
        packed = self.random.integers(0, 256, (outputs, blocks, BLOCK // 2), np.uint8)
        scales = self.random.uniform(0.5, 1.0, outputs * blocks) / np.sqrt(inputs) / 4.0
        return self.add(
            "MatMulNBits",
            [x, self.weight(f"{name}.q", packed), self.weight(f"{name}.s", scales.astype("f4"))],
            to,
            domain="com.microsoft",
            K=inputs,
            N=outputs,
            bits=4,
            block_size=BLOCK,
            accuracy_level=self.accuracy,
        )

    def projection(self, x: str, name: str, inputs: int, outputs: int) -> str:
        base = self.int4(x, name, inputs, outputs, f"{name}.base")
        a, b = lora_inputs(name)
        for each, shape, empty in (
            (a, [inputs, "lora_r"], (inputs, 0)),
            (b, ["lora_r", outputs], (0, outputs)),
        ):
            self.inputs.append(helper.make_tensor_value_info(each, TensorProto.FLOAT, shape))
            self.weight(each, np.zeros(empty, np.float32))
        self.sites.append(Site(name, inputs, outputs))
        low = self.add("MatMul", [x, a], f"{name}.low")
        high = self.add("MatMul", [low, b], f"{name}.high")
        return self.add("Add", [base, high], f"{name}.sum")

    def norm(self, x: str, name: str) -> str:
        ones = self.weight(f"{name}.w", self.random.uniform(0.5, 1.5, HIDDEN).astype("f4"))
        return self.add("SimplifiedLayerNormalization", [x, ones], name, axis=-1, epsilon=1e-5)

    def layer(self, index: int, x: str) -> str:
        at = f"model.layers.{index}"
        y = self.norm(x, f"{at}.n1")
        parts = [
            self.projection(y, f"{at}.attn.{p}_proj", HIDDEN, heads * HEAD)
            for p, heads in (("q", HEADS), ("k", KV_HEADS), ("v", KV_HEADS))
        ]
        past = [f"past_key_values.{index}.{kind}" for kind in ("key", "value")]
        present = [f"present.{index}.{kind}" for kind in ("key", "value")]
        attention = self.add(
            "GroupQueryAttention",
            [*parts, *past, "last", "total", "cos", "sin"],
            *(f"{at}.attention", *present),
            domain="com.microsoft",
            num_heads=HEADS,
            kv_num_heads=KV_HEADS,
            do_rotary=1,
        )
        out = self.projection(attention, f"{at}.attn.o_proj", HEADS * HEAD, HIDDEN)
        x = self.add("Add", [x, out], f"{at}.mid")
        y = self.norm(x, f"{at}.n2")
        gate = self.projection(y, f"{at}.mlp.gate_proj", HIDDEN, INNER)
        up = self.projection(y, f"{at}.mlp.up_proj", HIDDEN, INNER)
        gated = self.add("Mul", [gate, self.add("Sigmoid", [gate], f"{at}.sig")], f"{at}.silu")
        inner = self.add("Mul", [gated, up], f"{at}.inner")
        down = self.projection(inner, f"{at}.mlp.down_proj", INNER, HIDDEN)
        return self.add("Add", [x, down], f"{at}.out")


def lora_inputs(site: str) -> tuple[str, str]:
    """The names of a projection's A and B, as the export gives them."""
    return f"{site}.lora_A.MatMul.weight", f"{site}.lora_B.MatMul.weight"


def write(folder: Path, *, accuracy: int, adapters: tuple[int, ...] = ()) -> Path:
    """The model, and an adapter ``a0``, ``a1``… of each of these ranks, in ``folder``."""
    folder.mkdir(parents=True)
    build = _Builder(accuracy)
    _head_of_graph(build)
    x = build.add("Gather", [build.weight("embedding", _embedding(build)), "input_ids"], "x")
    for index in range(LAYERS):
        x = build.layer(index, x)
    build.int4(build.norm(x, "final"), "lm_head", HIDDEN, VOCAB, "logits")
    onnx.save(_model(build), str(folder / "model.onnx"))
    for name, text in (
        ("genai_config.json", _genai_config()),
        ("tokenizer.json", tiny_model.tokenizer()),
        ("tokenizer_config.json", tiny_model.tokenizer_config()),
    ):
        (folder / name).write_text(json.dumps(text))
    for number, rank in enumerate(adapters):
        _adapter(folder / f"a{number}.onnx_adapter", build.sites, rank, seed=number + 1)
    return folder


def _embedding(build: _Builder) -> NDArray[Any]:
    return build.random.standard_normal((VOCAB, HIDDEN)).astype(np.float32)


def _head_of_graph(build: _Builder) -> None:
    """The lengths from the mask, as the builder of onnxruntime-genai writes it."""
    build.weight("one", np.array([1], np.int64))
    build.weight("axis", np.array(1, np.int64))
    build.add("ReduceSum", ["attention_mask", "one"], "lengths", keepdims=0)
    build.add("Sub", ["lengths", "one"], "last64")
    build.add("Cast", ["last64"], "last", to=TensorProto.INT32)
    build.add("Shape", ["attention_mask"], "shape")
    build.add("Gather", ["shape", "axis"], "total64", axis=0)
    build.add("Cast", ["total64"], "total", to=TensorProto.INT32)
    angles = np.outer(np.arange(CONTEXT), 1 / 10000 ** (np.arange(0, HEAD, 2) / HEAD))
    build.weight("cos", np.cos(angles).astype(np.float32))
    build.weight("sin", np.sin(angles).astype(np.float32))


def _model(build: _Builder) -> onnx.ModelProto:
    value, f32, i64 = helper.make_tensor_value_info, TensorProto.FLOAT, TensorProto.INT64
    cache = [f"{index}.{kind}" for index in range(LAYERS) for kind in ("key", "value")]
    inputs = [
        value("input_ids", i64, ["batch_size", "sequence_length"]),
        value("attention_mask", i64, ["batch_size", "total"]),
        *(
            value(f"past_key_values.{c}", f32, ["batch_size", "heads", "past", "head"])
            for c in cache
        ),
        *build.inputs,
    ]
    outputs = [
        value("logits", f32, ["batch_size", "sequence_length", VOCAB]),
        *(value(f"present.{c}", f32, ["batch_size", KV_HEADS, "total", HEAD]) for c in cache),
    ]
    weights = [numpy_helper.from_array(w, name) for name, w in build.weights.items()]
    graph = helper.make_graph(build.nodes, "random", inputs, outputs, weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def _genai_config() -> dict[str, Any]:
    config: dict[str, Any] = tiny_model.genai_config()
    config["model"] |= {"context_length": CONTEXT, "vocab_size": VOCAB, "eos_token_id": VOCAB - 1}
    config["model"]["decoder"] |= {
        "hidden_size": HIDDEN,
        "head_size": HEAD,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "num_hidden_layers": LAYERS,
    }
    config["search"]["max_length"] = CONTEXT
    return config


def _adapter(file: Path, sites: list[Site], rank: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = {}
    for site in sites:
        a, b = lora_inputs(site.name)
        weights[a] = random.standard_normal((site.inputs, rank)) / np.sqrt(site.inputs)
        weights[b] = random.standard_normal((rank, site.outputs)) * 0.2
    values = {
        name: ort.OrtValue.ortvalue_from_numpy(value.astype(np.float32))
        for name, value in weights.items()
    }
    adapter = ort.AdapterFormat()
    adapter.set_adapter_version(1)
    adapter.set_model_version(1)
    adapter.set_parameters(values)
    adapter.export_adapter(str(file))
