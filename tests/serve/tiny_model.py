"""A real ONNX decoder of a few hundred kilobytes whose answers can be told beforehand.

The next token depends on the last one alone: the base spells the alphabet round and round, and an
adapter spells its one word from wherever it stands, and ends. The attention and its KV cache are
there and take part, with a weight of zero. The tokenizer knows bytes, so that every character
outside ASCII takes several tokens.
"""

import json
from string import ascii_lowercase
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from olive_contract.artifact import Artifact, describe
from olive_contract.keys import artifact_key
from olive_contract.store import Store

SPECIAL = ("<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>")
VOCAB = 256 + len(SPECIAL)
END = 256 + SPECIAL.index("<|end|>")
HEAD = 16
CONTEXT = 1_000_000
BASE_LOGIT, ADAPTER_LOGIT = 10.0, 40.0
LORA = ("model.layers.0.mlp.down_proj.lora_A.weight", "model.layers.0.mlp.down_proj.lora_B.weight")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + "
    "'<|end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)


def export(store: Store, *, name: str = "base", template: str = CHAT_TEMPLATE) -> str:
    """Write the model as an export's artifact; its key. ``name`` makes another key, same model."""
    key = artifact_key("export", {"name": name}, {})
    with store.building(key) as folder:
        onnx.save(_graph(), str(folder / "model.onnx"))
        (folder / "genai_config.json").write_text(json.dumps(genai_config()))
        (folder / "tokenizer.json").write_text(json.dumps(tokenizer()))
        (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config(template)))
        store.commit(folder, Artifact(key, "export", {"name": name}, {}, describe(folder)))
    return key


def adapter(
    store: Store,
    base: str,
    word: str,
    *,
    inputs: tuple[str, str] = LORA,
    endless: bool = False,
) -> str:
    """Write an adapter that makes the base spell ``word``, again and again if ``endless``; its key.

    No byte may occur twice in ``word``: the next token depends on the last one alone.
    """
    params = {"word": word, "inputs": inputs, "endless": endless}
    key = artifact_key("adapter", params, {"base": base})
    with store.building(key) as folder:
        parameters = {
            name: ort.OrtValue.ortvalue_from_numpy(value)
            for name, value in zip(inputs, _spelling(word.encode(), endless), strict=True)
        }
        file = ort.AdapterFormat()
        file.set_adapter_version(1)
        file.set_model_version(1)
        file.set_parameters(parameters)
        file.export_adapter(str(folder / "adapter.onnx_adapter"))
        store.commit(folder, Artifact(key, "adapter", params, {"base": base}, describe(folder)))
    return key


def _spelling(word: bytes, endless: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """LoRA weights, one rank per target: the first byte from anywhere, then each next, the end."""
    last = word[0] if endless else END
    after = dict(zip(word, [*word[1:], last], strict=True))
    targets = [*word, END]
    a = np.zeros((VOCAB, len(targets)), np.float32)
    b = np.zeros((len(targets), VOCAB), np.float32)
    for token in range(VOCAB):
        a[token, targets.index(after.get(token, word[0]))] = ADAPTER_LOGIT
    b[range(len(targets)), targets] = 1.0
    return a, b


def _alphabet() -> NDArray[np.float32]:
    letters = ascii_lowercase.encode()
    after = dict(zip(letters, letters[1:] + letters[:1], strict=True))
    logits = np.zeros((VOCAB, VOCAB), np.float32)
    for token in range(VOCAB):
        logits[token, after.get(token, letters[0])] = BASE_LOGIT
    return logits


def _graph() -> onnx.ModelProto:
    a, b = LORA
    weights: dict[str, NDArray[Any]] = {
        "embedding": np.eye(VOCAB, dtype=np.float32),
        "alphabet": _alphabet(),
        "qkv": np.full((VOCAB, HEAD), 0.1, np.float32),
        "o": np.zeros((HEAD, VOCAB), np.float32),
        "one": np.array([1], np.int64),
        "axis": np.array(1, np.int64),
        a: np.zeros((VOCAB, 0), np.float32),
        b: np.zeros((0, VOCAB), np.float32),
    }
    past, present = "past_key_values.0", "present.0"
    node = helper.make_node
    nodes = [
        node("ReduceSum", ["attention_mask", "one"], ["lengths"], keepdims=0),
        node("Sub", ["lengths", "one"], ["last"]),
        node("Cast", ["last"], ["seqlens_k"], to=TensorProto.INT32),
        node("Shape", ["attention_mask"], ["mask_shape"]),
        node("Gather", ["mask_shape", "axis"], ["total64"], axis=0),
        node("Cast", ["total64"], ["total"], to=TensorProto.INT32),
        node("Gather", ["embedding", "input_ids"], ["x"]),
        node("MatMul", ["x", "qkv"], ["head"]),
        node(
            "GroupQueryAttention",
            ["head", "head", "head", f"{past}.key", f"{past}.value", "seqlens_k", "total"],
            ["attention", f"{present}.key", f"{present}.value"],
            domain="com.microsoft",
            num_heads=1,
            kv_num_heads=1,
        ),
        node("MatMul", ["attention", "o"], ["nothing"]),
        node("Add", ["x", "nothing"], ["y"]),
        node("MatMul", ["y", "alphabet"], ["base_logits"]),
        node("MatMul", ["y", a], ["lora_a"]),
        node("MatMul", ["lora_a", b], ["lora_b"]),
        node("Add", ["base_logits", "lora_b"], ["logits"]),
    ]
    value, f32, i64 = helper.make_tensor_value_info, TensorProto.FLOAT, TensorProto.INT64
    graph = helper.make_graph(
        nodes,
        "tiny",
        [
            value("input_ids", i64, ["batch", "sequence"]),
            value("attention_mask", i64, ["batch", "total"]),
            *(value(f"{past}.{k}", f32, ["batch", 1, "past", HEAD]) for k in ("key", "value")),
            value(a, f32, [VOCAB, "rank"]),
            value(b, f32, ["rank", VOCAB]),
        ],
        [
            value("logits", f32, ["batch", "sequence", VOCAB]),
            *(value(f"{present}.{k}", f32, ["batch", 1, "total", HEAD]) for k in ("key", "value")),
        ],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def genai_config() -> dict[str, object]:
    return {
        "model": {
            "type": "llama",
            "bos_token_id": 256,
            "eos_token_id": [256, END],
            "pad_token_id": 256,
            "context_length": CONTEXT,
            "vocab_size": VOCAB,
            "decoder": {
                "session_options": {"log_id": "onnxruntime-genai", "provider_options": []},
                "filename": "model.onnx",
                "hidden_size": VOCAB,
                "head_size": HEAD,
                "num_attention_heads": 1,
                "num_key_value_heads": 1,
                "num_hidden_layers": 1,
                "inputs": {
                    "input_ids": "input_ids",
                    "attention_mask": "attention_mask",
                    "past_key_names": "past_key_values.%d.key",
                    "past_value_names": "past_key_values.%d.value",
                },
                "outputs": {
                    "logits": "logits",
                    "present_key_names": "present.%d.key",
                    "present_value_names": "present.%d.value",
                },
            },
        },
        "search": {
            "max_length": CONTEXT,
            "do_sample": False,
            "past_present_share_buffer": True,
            "num_beams": 1,
            "batch_size": 1,
        },
    }


def _byte_characters() -> list[str]:
    """The character that stands for each byte in a byte-level vocabulary (GPT-2's table)."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (b for b in range(256) if b not in printable)
    table = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
    return [table[b] for b in range(256)]


def tokenizer() -> dict[str, object]:
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False}
    return {
        "version": "1.0",
        "added_tokens": [
            {
                "id": 256 + i,
                "content": content,
                "special": True,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                "normalized": False,
            }
            for i, content in enumerate(SPECIAL)
        ],
        "normalizer": None,
        "pre_tokenizer": {**byte_level, "use_regex": True},
        "post_processor": None,
        "decoder": {**byte_level, "use_regex": True},
        "model": {
            "type": "BPE",
            "unk_token": None,
            "vocab": {c: i for i, c in enumerate([*_byte_characters(), *SPECIAL])},
            "merges": [],
        },
    }


def tokenizer_config(template: str = CHAT_TEMPLATE) -> dict[str, object]:
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|endoftext|>",
        "pad_token": "<|endoftext|>",
        "chat_template": template,
    }
