"""Which files of a source are worth having: of a model, an adapter or a data set. Pure.

Weights as safetensors, once; pickled weights and Python files only where the job allows them.
"""

import re
from collections.abc import Collection
from fnmatch import fnmatch

from olive_contract.failures import FailureClass, StageFailure
from olive_contract.params import FetchParams
from olive_stage import adapter_folder, model_folder
from olive_stage.genai_folder import GENAI_CONFIG
from olive_stage.words import some
from olive_stage.work import invalid

NAME = re.compile(r"[\w.-]{1,200}", re.ASCII)
"""A file's name that is kept: no folder, nothing to be quoted."""

MOST_FILES = 2000
MODEL = (
    model_folder.CONFIG,
    "generation_config.json",
    "tokenizer*",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "chat_template.*",
    "LICENSE*",
)
EXPORTED = (GENAI_CONFIG, "*.onnx", "*.onnx.data", "*.onnx_data")
WEIGHTS = ("*.safetensors", model_folder.INDEX)
PICKLED = ("pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
CODE = ("*.py",)
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")
ADAPTER_PICKLE = "adapter_model.bin"


def wanted(names: Collection[str], params: FetchParams, place: str) -> list[str]:
    """The files to fetch, of these paths relative to the folder ``place``.

    A StageFailure in words if they are no model, or no adapter, that can be used.
    """
    found = (_adapter if params.what == "adapter" else _model)(names, params, place)
    if len(found) > MOST_FILES:
        raise invalid(f"{place} has {len(found)} files; a model has {MOST_FILES} at most")
    return sorted(found)


def variant(files: Collection[str]) -> str:
    """What these fetched files are beyond the source's own safetensors: part of their address."""
    pickled = any(_is(name, PICKLED) or name == ADAPTER_PICKLE for name in files)
    code = any(_is(name, CODE) for name in files)
    return ("+pickle" if pickled else "") + ("+code" if code else "")


def _model(names: Collection[str], params: FetchParams, place: str) -> list[str]:
    """One copy of the weights: where Transformers' own (``model*.safetensors``) are there, others
    (``consolidated.safetensors``) are left out; where there are none but ONNX's, those."""
    plain = [name for name in names if NAME.fullmatch(name)]
    weights = [name for name in plain if _is(name, WEIGHTS)]
    beside = [name for name in plain if _is(name, MODEL) and not _is(name, (*PICKLES, *CODE))]
    if GENAI_CONFIG in plain and not weights:
        return beside + [name for name in plain if _is(name, EXPORTED)]
    own = [name for name in weights if fnmatch(name, "model*.safetensors*")]
    if not any(name.endswith(".safetensors") for name in weights):
        weights = _pickled(plain, params, place)
    found = beside + (own or weights)
    if model_folder.CONFIG not in found:
        raise _absent(place, f"no {model_folder.CONFIG}", names)
    if not any(name in found for name in TOKENIZERS):
        raise _absent(place, f"no tokenizer ({' or '.join(TOKENIZERS)})", names)
    if params.trustRemoteCode:
        found += [name for name in plain if _is(name, CODE)]
    return found


def _pickled(names: Collection[str], params: FetchParams, place: str) -> list[str]:
    """The pickled weights, if they may be read."""
    pickled = [name for name in names if _is(name, PICKLED)]
    if any(name.endswith(".bin") for name in pickled):
        if params.allowPickle:
            return pickled
        raise invalid(
            f"{place} has its weights only as {pickled[0]}, a pickle, which can run code when "
            "loaded: convert the model to safetensors, or set allowPickle to have the tensors, "
            "and nothing else, read from it"
        )
    if others := [name for name in names if _is(name, PICKLES)]:
        raise invalid(
            f"{place} has its weights only as {others[0]}, a pickle, which can run code when "
            "loaded; convert the model to safetensors first"
        )
    raise _absent(place, "no *.safetensors file", names)


def _adapter(names: Collection[str], params: FetchParams, place: str) -> list[str]:
    if adapter_folder.CONFIG not in names:
        raise _absent(place, f"no {adapter_folder.CONFIG}", names)
    if adapter_folder.WEIGHTS in names:
        return [adapter_folder.CONFIG, adapter_folder.WEIGHTS]
    if ADAPTER_PICKLE not in names:
        raise _absent(place, f"no {adapter_folder.WEIGHTS}", names)
    if not params.allowPickle:
        raise invalid(
            f"{place} has its weights only as {ADAPTER_PICKLE}, a pickle, which can run code when "
            "loaded: save it as safetensors, or set allowPickle to have the tensors, and nothing "
            "else, read from it"
        )
    return [adapter_folder.CONFIG, ADAPTER_PICKLE]


def _is(name: str, patterns: Collection[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def _absent(place: str, what: str, names: Collection[str]) -> StageFailure:
    return StageFailure(
        FailureClass.SOURCE_NOT_FOUND, f"{place} holds {what}; found there: {some(names)}"
    )
