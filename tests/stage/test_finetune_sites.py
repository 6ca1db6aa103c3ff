"""Which projections are trained: names, layers, patterns, ranks; and what is refused, in words."""

from typing import Any

import pytest
from loras import lora

from olive_contract.failures import StageFailure
from olive_stage.lora_sites import chosen, trainable

LLAMA = {
    f"model.layers.{layer}.{name}": shape
    for layer in range(3)
    for name, shape in {
        "self_attn.q_proj": (64, 64),
        "self_attn.k_proj": (64, 32),
        "self_attn.v_proj": (64, 32),
        "self_attn.o_proj": (64, 64),
        "mlp.gate_proj": (64, 128),
        "mlp.up_proj": (64, 128),
        "mlp.down_proj": (128, 64),
    }.items()
}


def short(names: Any) -> set[str]:
    return {name.removeprefix("model.layers.") for name in names}


def test_without_names_every_linear_layer_of_the_blocks_is_trained() -> None:
    found = chosen(lora(), LLAMA)
    assert found == dict.fromkeys(LLAMA, 8)
    assert trainable(found, LLAMA) == 8 * sum(a + b for a, b in LLAMA.values())


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {"targetModules": ("q_proj", "v_proj"), "layersToTransform": (1,)},
            {"1.self_attn.q_proj", "1.self_attn.v_proj"},
            id="names and layers",
        ),
        pytest.param(
            {"targetModules": ("mlp.up_proj", "layers.2.self_attn.o_proj")},
            {"0.mlp.up_proj", "1.mlp.up_proj", "2.mlp.up_proj", "2.self_attn.o_proj"},
            id="the last parts of a name",
        ),
        pytest.param(
            {
                "excludeModules": ("q_proj", "k_proj", "v_proj", "gate_proj", "down_proj"),
                "layersToTransform": (0,),
            },
            {"0.self_attn.o_proj", "0.mlp.up_proj"},
            id="all but some",
        ),
    ],
)
def test_names_and_layers_choose(changes: dict[str, Any], expected: set[str]) -> None:
    assert short(chosen(lora(**changes), LLAMA)) == expected


def test_a_pattern_gives_its_projections_another_rank() -> None:
    found = chosen(lora(rankPattern={"o_proj": 4, r"layers\.2\.mlp\..*": 2}), LLAMA)
    assert {name for name, rank in found.items() if rank == 4} == {
        f"model.layers.{n}.self_attn.o_proj" for n in range(3)
    }
    assert short(name for name, rank in found.items() if rank == 2) == {
        "2.mlp.gate_proj",
        "2.mlp.up_proj",
        "2.mlp.down_proj",
    }


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param(
            {"targetModules": ("lm_head",)},
            "lora.targetModules names 'lm_head', which is no projection of the model's blocks; "
            "a LoRA can be served on down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj",
            id="the head",
        ),
        pytest.param(
            {"targetModules": ("q_proj", "embed_tokens")}, "'embed_tokens'", id="the embeddings"
        ),
        pytest.param(
            {"targetModules": ("qkv_proj",)}, "'qkv_proj'", id="another architecture's name"
        ),
        pytest.param({"excludeModules": ("c_attn",)}, "excludeModules names 'c_attn'", id="a typo"),
        pytest.param(
            {"targetModules": ("q_proj",), "excludeModules": ("self_attn.q_proj",)},
            "leaves nothing to train",
            id="everything excluded",
        ),
        pytest.param(
            {"layersToTransform": (0, 3)},
            "names layer 3, but the model has 3 layers (0 to 2)",
            id="a layer too many",
        ),
        pytest.param(
            {"rank": 33},
            "rank 33 is more than model.layers.0.self_attn.k_proj has room for, which maps 64 to "
            "32 features; give a rank of at most 32",
            id="a rank too large",
        ),
        pytest.param(
            {"rankPattern": {"lm_head": 4}},
            "lora.rankPattern names 'lm_head', which is none of the trained projections",
            id="a pattern that fits nothing",
        ),
        pytest.param(
            {"targetModules": ("q_proj",), "alphaPattern": {"o_proj": 4}},
            "they are q_proj",
            id="a pattern for what is not trained",
        ),
        pytest.param(
            {"rankPattern": {"q_proj(": 4}}, "names 'q_proj('", id="a pattern that is none"
        ),
    ],
)
def test_what_cannot_be_served_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(StageFailure) as error:
        chosen(lora(**changes), LLAMA)
    assert says in str(error.value)


def test_a_model_without_projections_is_refused() -> None:
    with pytest.raises(StageFailure, match="no linear layers that a LoRA could be put on"):
        chosen(lora(), {})
