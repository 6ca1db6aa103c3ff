"""What serving is measured with: SmolLM-135M's shape, as our store has it and as llama.cpp does.

    images/stage/.venv/bin/python bench/stage/serve_model.py FOLDER [GGUF_PY]

``FOLDER`` gets ``store`` (an export and the adapters a0 to a3, rank 16 on every projection),
``serving.json``, ``model`` (the export's path in the store) and, with the folder of llama.cpp's
Python package ``gguf``, ``llama/base.gguf`` in Q4_0 and ``llama/a0.gguf`` to ``a3.gguf``. Weights
are random. A text of lower-case letters has one token for each.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import head
import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from olive_contract.artifact import Artifact, describe
from olive_contract.keys import artifact_key
from olive_contract.params import QuantizeParams
from olive_contract.serving import ServedAdapter, Serving
from olive_contract.store import Store

ADAPTERS, RANK = 4, 16
SITES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
"""Projections, as Hugging Face and as llama.cpp name them."""

END = "w0"

Array = np.ndarray[Any, Any]


def main() -> None:
    folder = Path(sys.argv[1])
    for name in ("int4", "work"):
        (folder / name).mkdir(parents=True)
    model, tokens = head.smollm(tied=False), vocabulary()
    tokenizer = tokenizer_of(tokens)
    model.generation_config.eos_token_id = model.config.eos_token_id = tokens.index(END)
    model.save_pretrained(folder / "float")
    tokenizer.save_pretrained(folder / "float")
    into_store(folder, model)
    if len(sys.argv) > 2:
        sys.path.insert(0, sys.argv[2])
        for_llama(folder / "llama", model, tokens)


def vocabulary() -> list[str]:
    """A token for each byte, one that two of them merge to, and words that no text becomes."""
    known = [*sorted(pre_tokenizers.ByteLevel.alphabet()), "!!"]
    return known + [f"w{n}" for n in range(49152 - len(known))]


def tokenizer_of(tokens: list[str]) -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.BPE({token: n for n, token in enumerate(tokens)}, [("!", "!")]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END)


def into_store(folder: Path, model: PreTrainedModel) -> None:
    """Quantize, export, and commit that with the adapters."""
    from olive_stage.olive_passes import quantize_olive

    params = QuantizeParams("rtn", "int4", 64)
    layers = len(SITES) * model.config.num_hidden_layers
    quantize_olive(params, folder / "float", folder / "int4", [], layers, False)
    made = next(head.exported(folder / "int4", "int8", folder / "work"))
    store = Store(folder / "store")
    store.root.mkdir()
    key = artifact_key("export", {"bench": "serve"}, {})
    with store.building(key) as artifact:
        for file in made.folder.iterdir():
            file.rename(artifact / file.name)
        store.commit(artifact, Artifact(key, "export", {}, {}, describe(artifact)))
    (folder / "model").symlink_to(store.path(key))
    adapters = [
        ServedAdapter(f"a{number}", adapter(store, key, number)) for number in range(ADAPTERS)
    ]
    (folder / "serving.json").write_text(Serving("bench/serve", key, tuple(adapters)).to_json())


def adapter(store: Store, base: str, number: int) -> str:
    """Its key. Every place for a LoRA in the export gets one."""
    session = ort.InferenceSession(str(store.path(base) / "model.onnx"))
    places = {
        i.name: i.shape
        for i in [*session.get_inputs(), *session.get_overridable_initializers()]
        if ".lora_A." in i.name or ".lora_B." in i.name
    }
    random = np.random.default_rng(number)
    values = {
        name: lora_weight(random, [RANK if isinstance(n, str) else n for n in shape])
        for name, shape in places.items()
    }
    key = artifact_key("adapter", {"number": number}, {"base": base})
    with store.building(key) as folder:
        file = ort.AdapterFormat()
        file.set_adapter_version(1)
        file.set_model_version(1)
        file.set_parameters(
            {name: ort.OrtValue.ortvalue_from_numpy(value) for name, value in values.items()}
        )
        file.export_adapter(str(folder / "adapter.onnx_adapter"))
        store.commit(folder, Artifact(key, "adapter", {}, {"base": base}, describe(folder)))
    return key


def lora_weight(random: np.random.Generator, shape: list[int]) -> Array:
    """Large enough to matter, small enough that nothing overflows."""
    weight: Array = random.standard_normal(shape) * 0.5 / np.sqrt(shape[0])
    return weight.astype(np.float32)


def for_llama(folder: Path, model: PreTrainedModel, tokens: list[str]) -> None:
    """The same weights by llama.cpp's own writer and quantizer; adapters of the same shapes."""
    import gguf

    folder.mkdir()
    config, kind = model.config, gguf.GGMLQuantizationType.Q4_0
    writer = gguf.GGUFWriter(str(folder / "base.gguf"), "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types([gguf.TokenType.NORMAL] * len(tokens))
    writer.add_token_merges(["! !"])
    writer.add_eos_token_id(config.eos_token_id)
    writer.add_add_bos_token(False)
    for name, value in llama_tensors(model):
        if value.ndim == 1:
            writer.add_tensor(name, value)
        else:
            writer.add_tensor(name, gguf.quants.quantize(value, kind), raw_dtype=kind)
    close(writer)
    for number in range(ADAPTERS):
        writer = gguf.GGUFWriter(str(folder / f"a{number}.gguf"), "llama")
        writer.add_type("adapter")
        writer.add_string("adapter.type", "lora")
        writer.add_float32("adapter.lora.alpha", float(RANK))
        random = np.random.default_rng(number)
        for name, value in llama_tensors(model):
            if name.startswith("blk.") and value.ndim == 2:
                rows, columns = value.shape
                writer.add_tensor(f"{name}.lora_a", lora_weight(random, [RANK, columns]))
                writer.add_tensor(f"{name}.lora_b", lora_weight(random, [rows, RANK]))
        close(writer)


def close(writer: Any) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def llama_tensors(model: PreTrainedModel) -> Iterator[tuple[str, Array]]:
    """Every weight by llama.cpp's name."""
    fixed = {
        "model.embed_tokens.weight": "token_embd.weight",
        "model.norm.weight": "output_norm.weight",
        "lm_head.weight": "output.weight",
    }
    inner = SITES | {"input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
    for name, value in model.state_dict().items():
        array = value.float().numpy()
        if name in fixed:
            yield fixed[name], array
        else:
            _, _, layer, *site, _ = name.split(".")
            yield f"blk.{layer}.{inner['.'.join(site)]}.weight", array


if __name__ == "__main__":
    main()
