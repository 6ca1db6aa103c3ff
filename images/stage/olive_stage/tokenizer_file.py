"""A fetched model's tokenizer: it loads, and every token has a row of the embeddings."""

from pathlib import Path

from tokenizers import Tokenizer

from olive_stage.json_file import read_json
from olive_stage.words import plain, readable
from olive_stage.work import invalid

TOKENIZER = "tokenizer.json"
LIMIT = 64 << 20
"""Bytes; the largest tokenizers have 40 MB."""

TEMPLATE_LIMIT = 1 << 20
"""Bytes of a chat template."""


def check_tokenizer(folder: Path, place: str, embedded: int | None) -> None:
    """InvalidInput unless the tokenizer in ``folder`` can be used.

    ``embedded`` is the number of tokens that the model has embeddings for; None if not known. A
    folder without ``tokenizer.json`` has a tokenizer that Transformers converts when it loads it.
    """
    for path in folder.glob("chat_template.*"):
        if (size := path.stat().st_size) > TEMPLATE_LIMIT:
            raise invalid(
                f"{path.name} of {place} has {readable(size)}; a chat template has at most "
                f"{readable(TEMPLATE_LIMIT)}"
            )
    for name in ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"):
        if (folder / name).exists():
            read_json(folder / name, place)
    if not (folder / TOKENIZER).exists():
        return
    if (size := (folder / TOKENIZER).stat().st_size) > LIMIT:
        raise invalid(
            f"{TOKENIZER} of {place} has {readable(size)}; at most {readable(LIMIT)} are read"
        )
    ids = read_tokenizer(folder / TOKENIZER, place).get_vocab(with_added_tokens=True)
    if embedded is not None and ids:
        token = max(ids, key=ids.__getitem__)
        if ids[token] >= embedded:
            raise invalid(
                f"{TOKENIZER} of {place} gives token {plain(token)!r} the id {ids[token]}, but the "
                f"model has embeddings for {embedded} tokens only"
            )


def read_tokenizer(path: Path, place: str) -> Tokenizer:
    """The tokenizer in this file of ``place``; InvalidInput if it is none."""
    try:
        return Tokenizer.from_file(str(path))
    except BaseException as error:
        if isinstance(error, Exception) or type(error).__name__ == "PanicException":
            raise invalid(f"{path.name} of {place} cannot be used: {plain(error, 200)}") from error
        raise
