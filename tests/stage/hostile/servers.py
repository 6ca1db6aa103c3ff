"""Servers that send without end, packed, elsewhere or not what they said; hubs with evil names."""

import gzip
import zlib
from collections.abc import Callable, Iterator

from hostile.case import Case
from source_files import MODEL, ROWS
from standin_hub import Repository, StandinHub

BOMB = gzip.compress(bytes(200 << 20), compresslevel=9)
"""200 MB of zeros in 200 kB."""

Answer = tuple[int, dict[str, str], bytes]


def page(answer: Answer) -> Callable[[StandinHub], None]:
    def serve(hub: StandinHub) -> None:
        hub.pages["/rows"] = answer

    return serve


def cases() -> Iterator[Case]:
    for name, (answer, ends, says) in ANSWERS.items():
        yield _web(f"https: {name}", ends, says, page(answer))
    for name, target in TARGETS.items():
        yield _web(f"https: a redirect to {name}", "InvalidInput", "leads to", redirect(target))
    yield _web("https: a stream without end", "InvalidInput", "at most", endless({}))
    packed = endless({"Content-Encoding": "gzip"})
    yield _web("https: a packed stream without end", "InvalidInput", "packed", packed)
    short = endless({"Content-Length": "10"})
    yield _web("https: more than was said", "InvalidInput", "is not JSON", short)
    for name, (files, ends, says) in LISTINGS.items():
        yield Case(
            f"hub: {name}",
            ends,
            says,
            source="hf://owner/evil",
            serve=lambda hub, files=files: hub.repositories.update(
                {"models/owner/evil": Repository(files)}
            ),
        )
    for name, body in APIS.items():
        yield Case(
            f"hub: an answer that is {name}",
            FAIL,
            "is no hub",
            source="hf://owner/evil",
            serve=lambda hub, body=body: hub.pages.update(
                {"/api/models/owner/evil/revision/main": (200, {}, body)}
            ),
        )
    yield Case(
        "hub: other bytes than are listed",
        "StageError",
        "arrived damaged",
        source="hf://owner/evil",
        serve=lambda hub: hub.repositories.update(
            {"models/owner/evil": Repository({**MODEL, "LICENSE": b"ab" * 2000}, damaged=True)}
        ),
    )


def _web(name: str, ends: str, says: str, serve: Callable[[StandinHub], None]) -> Case:
    return Case(name, ends, says, what="data", source="{server}/rows?sig=s3cr3t", serve=serve)


def redirect(target: str) -> Callable[[StandinHub], None]:
    return page((302, {"Location": target}, b""))


def endless(headers: dict[str, str]) -> Callable[[StandinHub], None]:
    def serve(hub: StandinHub) -> None:
        hub.pages["/rows"] = 200, headers, b"x" * 1024
        hub.endless.add("/rows")

    return serve


TARGETS = {
    "the metadata's address": "http://169.254.169.254/latest/meta-data",
    "the metadata's address by https": "https://169.254.169.254/latest/meta-data",
    "the metadata's address as a number": "https://2852039166/",
    "the metadata's address in IPv6": "https://[::ffff:a9fe:a9fe]/",
    "a link-local address": "https://[fe80::1]/",
    "this pod": "https://localhost/",
    "plain http": "http://example.com/a",
    "a file": "file:///etc/passwd",
    "ftp": "ftp://example.com/a",
    "data in the address": "data:text/plain,{}",
    "a claim": "pvc://team/it",
    "no host": "https:///a",
    "half a bracket": "https://[::1/a",
}
FAIL, DENIED, ABSENT, INVALID = "StageError", "AuthDenied", "SourceNotFound", "InvalidInput"
ANSWERS: dict[str, tuple[Answer, str, str]] = {
    "a bomb of gzip": ((200, {"Content-Encoding": "gzip"}, BOMB), INVALID, "packed (gzip)"),
    "a bomb of deflate": (
        (200, {"Content-Encoding": "deflate"}, zlib.compress(bytes(1 << 24))),
        INVALID,
        "packed (deflate)",
    ),
    "a bomb in a bomb": (
        (200, {"Content-Encoding": "gzip, gzip"}, gzip.compress(BOMB)),
        INVALID,
        "packed",
    ),
    "an unknown packing": ((200, {"Content-Encoding": "magic"}, ROWS), INVALID, "packed (magic)"),
    "a bomb without a word": ((200, {}, BOMB), INVALID, "is not UTF-8"),
    "a length of 2^60": ((200, {"Content-Length": str(2**60)}, b""), INVALID, "at most"),
    "a length of 100 digits": ((200, {"Content-Length": "9" * 100}, ROWS), FAIL, ""),
    "a length too long": ((200, {"Content-Length": "9999"}, ROWS), FAIL, "broke off after"),
    "a length too short": ((200, {"Content-Length": "9"}, ROWS), INVALID, "is not JSON"),
    "a part that nobody asked for": (
        (206, {"Content-Range": "bytes 5-9/10"}, b"nse"),
        FAIL,
        "another part than the one asked for",
    ),
    "no content": ((204, {}, b""), FAIL, "answered 204"),
    "not modified": ((304, {}, b""), FAIL, "answered 304"),
    "a login": ((401, {"WWW-Authenticate": "Basic"}, b""), DENIED, "answered 401"),
    "a refusal": ((403, {}, b"s3cr3t"), DENIED, "answered 403"),
    "nothing": ((404, {}, b""), ABSENT, "answered 404"),
    "no more": ((410, {}, b""), ABSENT, "answered 410"),
    "a teapot": ((418, {}, b""), FAIL, "answered 418"),
    "too many requests": ((429, {}, b""), FAIL, "answered 429"),
    "an error": ((500, {}, b""), FAIL, "answered 500"),
    "a page of HTML": ((200, {}, b"<html>Sign in</html>"), INVALID, "is not JSON"),
    "a header of 100 000 letters": ((200, {"X": "x" * 100_000}, ROWS), FAIL, ""),
    "200 headers": ((200, {f"X-{n}": "x" for n in range(200)}, ROWS), FAIL, ""),
    "a redirect to nothing": ((302, {"Location": ""}, b""), INVALID, "more than 5 times"),
    "a redirect in a circle": ((302, {"Location": "/rows"}, b""), INVALID, "more than 5 times"),
}
APIS = {
    "a page of HTML": b"<html>Sign in</html>",
    "a list": b"[]",
    "empty": b"",
    "an empty object": b"{}",
    "100 000 deep": b'{"a":' * 100_000,
    "without files": b'{"id": "owner/evil", "sha": "0"}',
    "of a commit that is a list": b'{"id": "owner/evil", "sha": [], "siblings": []}',
    "of files that are numbers": b'{"id": "owner/evil", "sha": "0", "siblings": [1, 2]}',
}
INNER = {name: body for name, body in MODEL.items() if name != "model.safetensors"}
WEIGHTS = MODEL["model.safetensors"]
Listing = tuple[dict[str, bytes], str, str]
LISTINGS: dict[str, Listing] = {
    "weights that climb": ({**INNER, "../../x.safetensors": WEIGHTS}, ABSENT, "no *.safetensors"),
    "weights with a whole path": ({**INNER, "/tmp/x.safetensors": WEIGHTS}, ABSENT, "no *."),
    "weights on two lines": ({**INNER, "a\nb.safetensors": WEIGHTS}, ABSENT, "no *.safetensors"),
    "weights with a space": ({**INNER, "a b.safetensors": WEIGHTS}, ABSENT, "no *.safetensors"),
    "weights of 4096 letters": ({**INNER, "x" * 4084 + ".safetensors": WEIGHTS}, ABSENT, "no *."),
    "weights named like an option": ({**INNER, "-rf.safetensors": WEIGHTS}, "Succeeded", ""),
    "3000 tokenizers": (
        {**MODEL, **{f"tokenizer{n}": b"x" for n in range(3000)}},
        INVALID,
        "2000 at most",
    ),
    "an index that climbs": (
        {**MODEL, "model.safetensors.index.json": b'{"weight_map": {"a": "../../etc/passwd"}}'},
        ABSENT,
        "is not whole",
    ),
    "no files": ({}, ABSENT, "found there: nothing"),
}
