"""Python files that come with a model: kept where the job trusts them, refused where needed.

A model may name code of its own and not need it (``auto_map`` beside a type that Transformers
has itself): without trust its files are left out, and Transformers takes its own classes.
"""

import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.json_file import read_json
from olive_stage.model_folder import CONFIG
from olive_stage.tokenizer_file import TOKENIZER
from olive_stage.words import plain
from olive_stage.work import invalid

TOKENIZER_CONFIG = "tokenizer_config.json"
CLASS = re.compile(r"(?:[\w.-]+/[\w.-]+--)?\w+(?:\.\w+)+")
"""``module.Class``, with another repository's name before it or without."""


def check_code(folder: Path, place: str, trusted: bool) -> dict[str, object]:
    """``remoteCode`` for the artifact's ``about``, if the model's own code is kept and will be run.

    InvalidInput if it is needed and not trusted, SourceNotFound if it is named and not there. A
    tokenizer needs none where there is a ``tokenizer.json``.
    """
    config = read_json(folder / CONFIG, place)
    tokenizer = folder / TOKENIZER_CONFIG
    tokens = read_json(tokenizer, place) if tokenizer.exists() else {}
    classes = [*_classes(config, CONFIG, place), *_classes(tokens, TOKENIZER_CONFIG, place)]
    if trusted and classes:
        for name in classes:
            _check_there(name, folder, place)
        return {"remoteCode": True}
    model_type = config["model_type"]
    if not _knows_model(model_type):
        raise _unknown(f"model_type {plain(model_type)} of {place}", bool(classes))
    own = str(tokens.get("tokenizer_class") or "")
    if "auto_map" in tokens and not (folder / TOKENIZER).exists() and not _knows_class(own):
        raise _unknown(f"the tokenizer {plain(own)} of {place}", True)
    return {}


def _classes(config: Mapping[str, Any], file: str, place: str) -> Iterator[str]:
    """Every ``module.Class`` that an ``auto_map`` names."""
    named = config.get("auto_map") or {}
    values = list(named.values()) if isinstance(named, dict) else [named]
    for value in values:
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, str) and CLASS.fullmatch(name):
                yield name
            elif name is not None:
                raise invalid(
                    f"auto_map in {file} of {place} names {plain(name)}, which is no class"
                )


def _check_there(name: str, folder: Path, place: str) -> None:
    if "--" in name:
        raise invalid(
            f"{place} names code of another repository ({plain(name)}); only its own is fetched"
        )
    module = name.split(".")[0] + ".py"
    if not (folder / module).is_file():
        raise StageFailure(
            FailureClass.SOURCE_NOT_FOUND, f"{place} names code in {plain(module)}, not there"
        )


def _knows_model(model_type: str) -> bool:
    """Whether Transformers has this type of model itself (the import takes a second, no torch)."""
    from transformers.models.auto.auto_mappings import CONFIG_MAPPING_NAMES

    return model_type in CONFIG_MAPPING_NAMES


def _knows_class(name: str) -> bool:
    import transformers

    return name in dir(transformers)


def _unknown(what: str, comes_with_code: bool) -> StageFailure:
    known = f"{what} is not one that Transformers {version('transformers')} has"
    if not comes_with_code:
        return invalid(known)
    return invalid(
        f"{known}; it comes with Python code of its own, which is run only if "
        "spec.model.trustRemoteCode is true: set it if you trust that code"
    )
