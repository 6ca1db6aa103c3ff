"""PEFT's tensors to the graph's inputs, against the arithmetic that both must agree on."""

from typing import Any

import numpy as np
import pytest

from olive_contract.failures import StageFailure
from olive_stage.lora_mapping import Array, convert
from olive_stage.sites import Site

CONFIG = {"peft_type": "LORA", "r": 2, "lora_alpha": 8, "bias": "none"}
SITES = [
    Site(f"model.layers.{layer}.{name}", inputs, outputs)
    for layer in range(2)
    for name, inputs, outputs in [
        ("attn.q_proj", 6, 6),
        ("attn.k_proj", 6, 4),
        ("attn.v_proj", 6, 4),
        ("mlp.gate_proj", 6, 8),
        ("mlp.up_proj", 6, 8),
        ("mlp.down_proj", 8, 6),
    ]
]


def module(layer: int, name: str, inputs: int, outputs: int, rank: int = 2) -> dict[str, Array]:
    """PEFT's two tensors of a module, filled with numbers that differ by place."""
    random = np.random.default_rng([layer, inputs, outputs, rank])
    path = f"base_model.model.model.layers.{layer}.{name}"
    return {
        f"{path}.lora_A.weight": random.standard_normal((rank, inputs)).astype(np.float32),
        f"{path}.lora_B.weight": random.standard_normal((outputs, rank)).astype(np.float32),
    }


def delta(tensors: dict[str, Array], scale: float) -> Array:
    """What PEFT adds to a weight of shape (out, in)."""
    a, b = tensors.values()
    return scale * b @ a


def added(found: dict[str, tuple[Array, Array]], site: str) -> Array:
    """What the graph adds, as a weight of shape (out, in)."""
    a, b = found[site]
    return (a @ b).T


def test_a_plain_module_adds_what_peft_adds() -> None:
    tensors = module(1, "mlp.down_proj", 8, 6)
    found = convert(CONFIG, tensors, SITES)
    np.testing.assert_allclose(
        added(found, "model.layers.1.mlp.down_proj"), delta(tensors, 4.0), rtol=1e-5
    )


def test_a_fused_projection_is_cut_into_its_parts_in_order() -> None:
    tensors = module(0, "self_attn.qkv_proj", 6, 14)
    found = convert(CONFIG, tensors, SITES)
    parts = [added(found, f"model.layers.0.attn.{name}_proj") for name in "qkv"]
    np.testing.assert_allclose(np.concatenate(parts), delta(tensors, 4.0), rtol=1e-5)


def test_gate_and_up_come_from_one_fused_projection() -> None:
    tensors = module(0, "mlp.gate_up_proj", 6, 16)
    found = convert(CONFIG, tensors, SITES)
    parts = [added(found, f"model.layers.0.mlp.{name}_proj") for name in ("gate", "up")]
    np.testing.assert_allclose(np.concatenate(parts), delta(tensors, 4.0), rtol=1e-5)


@pytest.mark.parametrize(
    ("changes", "scale"),
    [
        pytest.param({}, 8 / 2, id="alpha over rank"),
        pytest.param({"use_rslora": True}, 8 / 2**0.5, id="rank-stabilised"),
        pytest.param({"alpha_pattern": {"q_proj": 3}}, 3 / 2, id="alpha of its own"),
        pytest.param({"alpha_pattern": {"k_proj": 3}}, 8 / 2, id="alpha of another module"),
    ],
)
def test_scaling(changes: dict[str, Any], scale: float) -> None:
    tensors = module(0, "self_attn.q_proj", 6, 6)
    found = convert({**CONFIG, **changes}, tensors, SITES)
    np.testing.assert_allclose(
        added(found, "model.layers.0.attn.q_proj"), delta(tensors, scale), rtol=1e-5
    )


def test_what_the_adapter_leaves_alone_is_given_zeros_of_its_rank() -> None:
    found = convert(CONFIG, module(0, "self_attn.q_proj", 6, 6), SITES)
    assert set(found) == {site.name for site in SITES}
    a, b = found["model.layers.1.mlp.up_proj"]
    assert (a.shape, b.shape) == ((6, 2), (2, 8))
    assert not a.any()
    assert not b.any()


def test_modules_of_different_rank_are_filled_up_to_the_highest() -> None:
    low, high = module(0, "self_attn.q_proj", 6, 6, rank=1), module(0, "mlp.down_proj", 8, 6, 3)
    found = convert(CONFIG, low | high, SITES)
    assert {a.shape[1] for a, _ in found.values()} == {3}
    np.testing.assert_allclose(
        added(found, "model.layers.0.attn.q_proj"), delta(low, 8 / 1), rtol=1e-5
    )


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"peft_type": "LOHA"}, "is LOHA, not a LoRA"),
        ({"use_dora": True}, "uses DoRA"),
        ({"bias": "all"}, "uses a trained bias"),
        ({"lora_bias": True}, "uses a trained bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"trainable_token_indices": [1]}, "trained tokens"),
        ({"init_lora_weights": "pissa_niter_4"}, "changes the base"),
    ],
)
def test_a_feature_that_cannot_be_served_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(StageFailure, match=says):
        convert({**CONFIG, **changes}, module(0, "self_attn.q_proj", 6, 6), SITES)


@pytest.mark.parametrize(
    ("tensors", "says"),
    [
        pytest.param(
            module(0, "self_attn.q_proj", 8, 6),
            "q_proj of layer 0 maps 8 to 6 features in the adapter, 6 to 6 in the base",
            id="another width",
        ),
        pytest.param(
            module(0, "self_attn.qkv_proj", 6, 20),
            "qkv_proj of layer 0 maps 6 to 20 features in the adapter, 6 to 14 in the base",
            id="another fused width",
        ),
        pytest.param(
            module(2, "self_attn.q_proj", 6, 6),
            "has a layer 2, the base only 2 layers",
            id="more layers",
        ),
        pytest.param(
            module(0, "self_attn.o_proj", 6, 6),
            "changes o_proj of layer 0, which the base does not have",
            id="a projection without inputs",
        ),
        pytest.param(
            {"base_model.model.lm_head.lora_A.weight": np.zeros((2, 6), np.float32)},
            "only LoRA weights of attention and MLP",
            id="the head",
        ),
        pytest.param(
            dict([next(iter(module(0, "mlp.down_proj", 8, 6).items()))]),
            "lacks a matching lora_A and lora_B",
            id="half a pair",
        ),
        pytest.param({}, "holds no weights", id="nothing"),
        pytest.param(
            module(0, "mlp.down_proj", 8, 6)
            | {f"other.{k}": v for k, v in module(0, "mlp.down_proj", 8, 6).items()},
            "holds down_proj of layer 0 twice",
            id="two modules for one place",
        ),
    ],
)
def test_an_adapter_of_another_base_is_refused(tensors: dict[str, Array], says: str) -> None:
    with pytest.raises(StageFailure, match=says):
        convert(CONFIG, tensors, SITES)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        pytest.param({"lora_alpha": None}, "alpha None of .* are no scale", id="no alpha"),
        pytest.param({"lora_alpha": "much"}, "alpha much of .* are no scale", id="a text as alpha"),
        pytest.param({"lora_alpha": 10**400}, "are no scale", id="an alpha beyond floats"),
        pytest.param({"alpha_pattern": ["q_proj"]}, "is no mapping", id="a list of patterns"),
        pytest.param(
            {"alpha_pattern": {"(q+)+_proj": 3}}, "repeats a group", id="a pattern without end"
        ),
        pytest.param({"alpha_pattern": {"q_proj[": 3}}, "is none: ", id="no pattern at all"),
        pytest.param({"lora_alpha": 1e300}, "are not finite", id="an endless scale"),
    ],
)
def test_a_scale_that_is_none_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(StageFailure, match=says):
        convert({**CONFIG, **changes}, module(0, "self_attn.q_proj", 6, 6), SITES)


def test_a_weight_that_is_no_number_is_refused_by_its_place() -> None:
    tensors = module(1, "mlp.down_proj", 8, 6)
    next(iter(tensors.values()))[0, 0] = np.nan
    with pytest.raises(StageFailure, match=r"layers\.1\.mlp\.down_proj hold numbers that are not"):
        convert(CONFIG, tensors, SITES)


def test_a_base_without_places_takes_no_adapter() -> None:
    with pytest.raises(StageFailure, match="the base takes no adapters"):
        convert(CONFIG, module(0, "self_attn.q_proj", 6, 6), [])


def test_inputs_are_of_the_type_that_the_graph_computes_in() -> None:
    sites = [Site("model.layers.0.attn.q_proj", 6, 6, "float16")]
    found = convert(CONFIG, module(0, "self_attn.q_proj", 6, 6), sites)
    assert [array.dtype for array in found["model.layers.0.attn.q_proj"]] == [np.float16] * 2
