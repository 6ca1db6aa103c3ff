"""Configs of impossible sizes or of other models; tokenizers that cannot be used."""

import json
from collections.abc import Iterator
from typing import Any

from hostile.case import CANARY, Case
from source_files import MODEL, TOKENIZER, config

SIZES = (
    "num_hidden_layers",
    "hidden_size",
    "intermediate_size",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "max_position_embeddings",
)
IMPOSSIBLE: dict[str, Any] = {
    "10^12": 10**12,
    "minus one": -1,
    "zero": 0,
    "a text": "12",
    "a fraction": 1.5,
    "true": True,
    "an object": {},
}


def cases() -> Iterator[Case]:
    for field in SIZES:
        for kind, value in IMPOSSIBLE.items():
            yield Case(
                f"config: {field} is {kind}",
                says=f"says {field} ",
                files={**MODEL, "config.json": config(**{field: value})},
            )
    for name, body in CONFIGS.items():
        yield Case(f"config: {name}", says="config.json", files={**MODEL, "config.json": body})
    for name, body in TOKENIZERS.items():
        yield Case(
            f"tokenizer: {name}", says="tokenizer.json", files={**MODEL, "tokenizer.json": body}
        )
    for name, (file, body) in BESIDE.items():
        yield Case(f"tokenizer: {name}", says=file, files={**MODEL, file: body})
    yield from code()
    template = ("{{ cycler.__init__.__globals__.os.popen('touch " + CANARY + "') }}").encode()
    looping = b"{% for a in range(10**9) %}{% for b in range(10**9) %}x{% endfor %}{% endfor %}"
    for name, body in {"runs a program": template, "loops": looping}.items():
        files = {**MODEL, "chat_template.jinja": body}
        yield Case(f"a chat template that {name}", "Succeeded", files=files)


def code() -> Iterator[Case]:
    """Python that would leave a trace if it were imported."""
    trace = f"open({CANARY!r}, 'w')\n".encode()
    own = config(model_type="own", auto_map={"AutoConfig": "own.Own"})
    files = {**MODEL, "config.json": own, "own.py": trace}
    yield Case("code that is not trusted", says="trustRemoteCode", files=files)
    trusted = {"trustRemoteCode": True}
    yield Case("code that is trusted is not run by fetch", "Succeeded", files=files, params=trusted)
    names: dict[str, Any] = {
        "in a folder above": {"AutoConfig": "../own.Own"},
        "of the standard library's name": {"AutoConfig": "os;system.x"},
        "of another repository": {"AutoConfig": "evil/repo--own.Own"},
        "as a number": {"AutoConfig": 1},
        "as a text": "own",
        "as a list of lists": {"AutoConfig": [["own.Own"]]},
    }
    for name, value in names.items():
        named = {**files, "config.json": config(model_type="own", auto_map=value)}
        yield Case(f"trusted code named {name}", says="", files=named, params=trusted)
    tokens = {"tokenizer_class": "OwnTokenizer", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    yield Case(
        "a tokenizer that is code",
        says="trustRemoteCode",
        files={
            **MODEL,
            "own.py": trace,
            "tokenizer.json": None,
            "tokenizer.model": b"x",
            "tokenizer_config.json": json.dumps(tokens).encode(),
        },
    )
    for name in (
        "sitecustomize.py",
        "tokenizer.py",
        "transformers.py",
        "tokenizer_own.py",
        "tokenizer.pkl",
    ):
        yield Case(f"a file {name} beside the model", "Succeeded", files={**MODEL, name: trace})


CONFIGS: dict[str, bytes] = {
    "of a wider model": config(hidden_size=8),
    "of another vocabulary": config(vocab_size=32064),
    "of more layers than there are": config(num_hidden_layers=32),
    "of a size for each layer, one wrong": config(intermediate_size=[4, -4]),
    "no architectures": config(architectures=None),
    "architectures as a text": config(architectures="Phi3ForCausalLM"),
    "architectures as numbers": config(architectures=[3]),
    "empty architectures": config(architectures=[]),
    "no model_type": config(model_type=None),
    "model_type as a list": config(model_type=["phi3"]),
    "text_config as a list": config(text_config=[1]),
    "sizes hidden in text_config": config(text_config={"num_hidden_layers": 10**12}),
    "empty": b"",
    "one brace": b"{",
    "cut": config()[:-9],
    "a list": b"[]",
    "a text": b'"config"',
    "null": b"null",
    "a number of 5000 digits": b'{"hidden_size": ' + b"9" * 5000 + b"}",
    "NaN as a size": b'{"architectures": ["A"], "model_type": "phi3", "hidden_size": NaN}',
    "infinity as a size": b'{"architectures": ["A"], "model_type": "phi3", "hidden_size": 1e999}',
    "lists 100 000 deep": b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects 100 000 deep": b'{"a":' * 100_000,
    "not UTF-8": b'{"a": "\xff"}',
    "binary": bytes(range(256)) * 16,
    "YAML": b"architectures: [Phi3ForCausalLM]\n",
    "9 MiB": b'{"a": "' + b"x" * (9 << 20) + b'"}',
    "2 million lists": b'{"hidden_size": [' + b"[]," * 2_000_000 + b"[]]}",
}


def tokenizer(**changes: Any) -> bytes:
    return json.dumps({**TOKENIZER, **changes}).encode()


def word_level(vocabulary: dict[str, Any]) -> bytes:
    return tokenizer(model={**TOKENIZER["model"], "vocab": vocabulary})


FLAGS = ("single_word", "lstrip", "rstrip", "normalized", "special")
TOKEN: dict[str, Any] = {"id": 2, "content": "<x>", **dict.fromkeys(FLAGS, False)}


def added(**token: Any) -> bytes:
    return tokenizer(added_tokens=[{**TOKEN, **token}])


def splitting(pattern: str) -> bytes:
    split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated"}
    return tokenizer(pre_tokenizer={**split, "invert": False})


TOKENIZERS: dict[str, bytes] = {
    "empty": b"",
    "an empty object": b"{}",
    "garbage": bytes(range(256)),
    "a list": b"[]",
    "cut": tokenizer()[:-20],
    "100 000 deep": b'{"normalizer":{"type":"Sequence","normalizers":[' * 100_000,
    "no model": tokenizer(model=None),
    "an unknown model": tokenizer(model={"type": "Magic"}),
    "a negative id": word_level({"a": -1}),
    "an id of 2^32": word_level({"a": 0, "b": 2**32}),
    "an id of 2^32 - 1": word_level({"a": 0, "b": 2**32 - 1}),
    "an id beyond the embeddings": word_level({"a": 0, "b": 8}),
    "100 000 tokens for 8 embeddings": word_level({f"t{n}": n for n in range(100_000)}),
    "ids as texts": word_level({"a": "0"}),
    "an added token beyond the embeddings": tokenizer(
        model={**TOKENIZER["model"], "vocab": dict(zip("abcdefgh", range(8), strict=True))},
        added_tokens=[{**TOKEN, "id": 8}],
    ),
    "an added token of 2^32": added(id=2**32),
    "an added token of -1": added(id=-1),
    "an added token without content": added(content=None),
    "a broken expression": splitting("("),
    "merges of unknown tokens": tokenizer(
        model={"type": "BPE", "vocab": {"a": 0}, "merges": ["a b"]}
    ),
    "an unknown token out of range": tokenizer(
        model={"type": "Unigram", "unk_id": 99, "vocab": [["a", -1.0]], "byte_fallback": False}
    ),
    "65 MiB": b'{"a": "' + b"x" * (65 << 20) + b'"}',
    "20 million lists": tokenizer()[:-1] + b', "a": [' + b"[]," * 20_000_000 + b"[]]}",
}
BESIDE: dict[str, tuple[str, bytes]] = {
    "a config of garbage": ("tokenizer_config.json", b"\xff{"),
    "a config as a list": ("tokenizer_config.json", b"[]"),
    "a config 100 000 deep": ("tokenizer_config.json", b'{"a":' * 100_000),
    "special tokens of garbage": ("special_tokens_map.json", b"<s>"),
    "added tokens as a list": ("added_tokens.json", b"[]"),
    "a chat template of 2 MiB": ("chat_template.jinja", b"{# #}" * 420_000),
}
