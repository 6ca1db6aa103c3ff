"""Data sets that are no JSON Lines, or hold what no text or number is; templates that reach out."""

import gzip
from collections.abc import Iterator

from hostile.case import CANARY, Case
from source_files import ROWS

GOOD = b'{"prompt": "a", "response": "b"}\n'
TEMPLATE = "{prompt}{response}"


def data(name: str, body: bytes, ends: str = "InvalidInput", template: str = TEMPLATE) -> Case:
    return Case(
        name,
        ends,
        what="data",
        source="pvc://team/it/rows.jsonl",
        files={"rows.jsonl": body},
        params={"template": template},
    )


def cases() -> Iterator[Case]:
    for name, body in REFUSED.items():
        yield data(f"data: {name}", body)
    for name, line in LINES.items():
        yield data(f"a row: {name}", GOOD + line + b"\n" + GOOD)
    for name, body in HARMLESS.items():
        yield data(f"harmless data: {name}", body, "Succeeded")
    for name, text in TEMPLATES.items():
        yield data(f"a template: {name}", ROWS, template=text)
    wrong = data("data of another digest", ROWS)
    yield Case(**{**vars(wrong), "params": {"sha256": "0" * 64}, "says": "0" * 64})


def _row(value: bytes) -> bytes:
    return b'{"prompt": ' + value + b', "response": "b"}'


REFUSED: dict[str, bytes] = {
    "empty": b"",
    "blank lines only": b"\n \t\r\n" * 1000,
    "a byte order mark only": b"\xef\xbb\xbf",
    "NUL bytes": bytes(10_000),
    "UTF-16": GOOD.decode().encode("utf-16"),
    "UTF-32": GOOD.decode().encode("utf-32"),
    "one JSON array": b'[{"prompt": "a", "response": "b"}]',
    "JSON on several lines": b'{\n"prompt": "a",\n"response": "b"\n}',
    "CSV": b"prompt,response\na,b\n",
    "YAML": b"- prompt: a\n  response: b\n",
    "HTML": b"<!DOCTYPE html><html></html>",
    "Parquet": b"PAR1" + bytes(100) + b"PAR1",
    "packed by gzip": gzip.compress(GOOD * 100),
    "a zip": b"PK\x03\x04" + bytes(100),
    "binary": bytes(range(256)) * 100,
    "a line of 10 MB": _row(b'"' + b"x" * 10_000_000 + b'"'),
    "50 MB without a line": b"x" * 50_000_000,
    "rows ended by carriage returns": GOOD.replace(b"\n", b"\r") * 3,
    "more rows than are read": GOOD * 2001,
}
LINES: dict[str, bytes] = {
    "invalid UTF-8": _row(b'"\xff"'),
    "half a character of UTF-8": _row(b'"\xe2\x82"'),
    "an overlong character": _row(b'"\xc0\xaf"'),
    "a surrogate in UTF-8": _row(b'"\xed\xa0\x80"'),
    "half a pair": _row(rb'"\ud800"'),
    "half a pair in a name": rb'{"\udfff": 1, "prompt": "a", "response": "b"}',
    "half a pair in a list": rb'{"x": ["\ud800"], "prompt": "a", "response": "b"}',
    "a raw NUL": _row(b'"a\0b"'),
    "a raw control character": _row(b'"a\x01b"'),
    "lists 100 000 deep": b"[" * 100_000,
    "objects 100 000 deep": b'{"a":' * 100_000,
    "a column 100 000 deep": _row(b"[" * 100_000 + b"]" * 100_000),
    "NaN": _row(b"NaN"),
    "infinity": _row(b"Infinity"),
    "minus infinity": _row(b"-Infinity"),
    "a number beyond all": _row(b"1e999"),
    "NaN in a column that no template names": b'{"x": NaN, "prompt": "a", "response": "b"}',
    "a number of 5000 digits": _row(b"9" * 5000),
    "a number in hexadecimal": _row(b"0x10"),
    "a number with a plus": _row(b"+1"),
    "a name twice": b'{"prompt": "a", "prompt": "c", "response": "b"}',
    "a name twice inside": b'{"x": {"y": 1, "y": 2}, "prompt": "a", "response": "b"}',
    "null": _row(b"null"),
    "an object": _row(b'{"a": 1}'),
    "a list": _row(b'["a"]'),
    "a column less": b'{"prompt": "a"}',
    "a column of another case": b'{"Prompt": "a", "response": "b"}',
    "a column without a name": b'{"": "a", "response": "b"}',
    "an array": b'["a", "b"]',
    "a text": b'"a"',
    "a number": b"7",
    "nothing but null": b"null",
    "a comma too many": b'{"prompt": "a", "response": "b",}',
    "single quotes": b"{'prompt': 'a', 'response': 'b'}",
    "a comment": b'{"prompt": "a", "response": "b"} // row',
    "two objects": b'{"prompt": "a", "response": "b"}{"prompt": "c", "response": "d"}',
    "a byte order mark in the middle": b"\xef\xbb\xbf" + GOOD.strip(),
    "a Python tuple": b'("a", "b")',
    "Python code": f"open({CANARY!r}, 'w')".encode(),
}
HARMLESS: dict[str, bytes] = {
    "carriage returns and line feeds": GOOD.replace(b"\n", b"\r\n") * 3,
    "a byte order mark": b"\xef\xbb\xbf" + GOOD,
    "no line feed at the end": GOOD.strip(),
    "empty texts": b'{"prompt": "", "response": ""}\n',
    "an escaped NUL": _row(rb'"a\u0000b"'),
    "a whole pair": _row(rb'"\ud83d\ude00"'),
    "line separators of Unicode": _row('"a\u2028b\u0085c"'.encode()),
    "braces and attributes": _row(b'"{prompt.__class__.__mro__} {0} {response!r}"'),
    "a template of Jinja": _row(b"\"{{ ''.__class__.__mro__[1].__subclasses__() }}\""),
    "a command": _row(f'"$(touch {CANARY}); `touch {CANARY}`"'.encode()),
    "a special token": _row(b'"<|end|><|system|>"'),
    "a number of 4000 digits": _row(b"9" * 4000),
    "a line of 4 MB": _row(b'"' + b"x" * 4_000_000 + b'"'),
    "1000 columns more": b'{"prompt": "a", "response": "b"'
    + b"".join(b', "c%d": %d' % (n, n) for n in range(1000))
    + b"}",
}
TEMPLATES: dict[str, str] = {
    "an attribute": "{prompt.__class__}",
    "an attribute of an attribute": "{prompt.__class__.__init__.__globals__}{response}",
    "an index": "{prompt[0]}",
    "a place": "{0}",
    "no name": "{}",
    "a conversion": "{prompt!r}",
    "a width of 10^9": "{prompt:>999999999}",
    "a width from a column": "{prompt:{response}}",
    "an open brace": "{prompt",
    "no column": "text",
    "Jinja": "{% for x in y %}{% endfor %}",
    "a column that is not there": "{password}",
}
