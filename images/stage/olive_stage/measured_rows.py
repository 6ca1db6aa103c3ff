"""The rows that a measurement is made on, as tokens: the same for an export and its original."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from olive_contract.params import RowsParams
from olive_stage import rows, template
from olive_stage.console import say
from olive_stage.work import invalid


@dataclass(frozen=True)
class MeasuredRows:
    """Rows and how they become tokens: at most ``limit`` of each, without special tokens added."""

    form: template.Template
    rows: tuple[rows.Row, ...]
    held: bool
    limit: int
    tokenizer: Tokenizer

    def encode(self, text: str) -> list[int]:
        """The first tokens of this text."""
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids[: self.limit]

    def texts(self) -> Iterator[list[int]]:
        """The tokens of every whole row, as the training reads it."""
        for row in self.rows:
            yield self.encode(self.form.render(row))


def choose(params: RowsParams, data: Path, tokenizer: Tokenizer) -> MeasuredRows:
    """The first ``samples`` of the rows held out; of all rows where nothing was (evalSplit 0)."""
    form = template.parse(params.template)
    kept, held = rows.split(rows.read_rows(data, form), params.evalSplit, params.seed)
    chosen = (held or kept)[: params.samples]
    if not chosen:
        raise invalid("samples is 0; a measurement needs at least one row")
    say(f"measuring on {len(chosen)} {'held-out' if held else 'training'} rows")
    return MeasuredRows(form, tuple(chosen), bool(held), params.maxLength, tokenizer)
