"""evaluate: the exported model as it will be served, with its adapter and without it.

Perplexity is over the whole rendered text, as the training's loss is; exact match asks the template
up to its last column and compares the greedy answer with that column. Speed is of one stream.
Where nothing was held out (evalSplit 0), the training rows are used and the artifact says so.
"""

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from olive_contract.params import EvaluateParams
from olive_stage import rows, template
from olive_stage.console import progress, say
from olive_stage.onnx_model import ADAPTER_FILE, OnnxModel, stop_tokens
from olive_stage.work import Made, Work, invalid

SPEED_TOKENS = 64
SPEED_RUNS = 3
SHOWN = 5
EXTRA_TOKENS = 8
"""Tokens that an answer may be longer than expected before it is cut, and wrong."""


def make(params: EvaluateParams, work: Work) -> Made:
    """Measure input ``base`` with input ``adapter`` (optional) on input ``data``."""
    form = template.parse(params.template)
    kept, held = rows.split(
        rows.read_rows(work.folder("data"), form), params.evalSplit, params.seed
    )
    chosen = (held or kept)[: params.samples]
    if not chosen:
        raise invalid("samples is 0; evaluation needs at least one row")
    say(f"evaluating on {len(chosen)} {'held-out' if held else 'training'} rows")
    folder = work.folder("base")
    test = Test(folder, form, chosen, params.maxLength)
    sizes = {"sizeBytes": float(work.input("base").size)}
    report: dict[str, Any] = {"rows": len(chosen), "heldOut": bool(held)}
    if "adapter" in work.inputs:
        sizes["sizeBytes"] += work.input("adapter").size
        base = test.run(OnnxModel(folder), 0, 50)
        report["base"] = base
        with_adapter = OnnxModel(folder, work.folder("adapter") / ADAPTER_FILE)
        result = test.run(with_adapter, 50, 95)
        own = {
            "basePerplexity": base["metrics"]["perplexity"],
            "baseExactMatch": base["metrics"]["exactMatch"],
        }
        report["adapter"] = result
    else:
        result = test.run(OnnxModel(folder), 0, 95)
        own = {"basePerplexity": result["metrics"]["perplexity"]}
        report["base"] = result
    metrics = {**result["metrics"], **own, **sizes}
    report["metrics"] = metrics
    (work.out / "evaluation.json").write_text(json.dumps(report, indent=1, ensure_ascii=False))
    return Made(
        metrics=metrics,
        about={"rows": len(chosen), "heldOut": bool(held)},
        libraries=("onnxruntime", "tokenizers", "numpy"),
    )


class Test:
    """Rows to ask an exported model about, tokenized once."""

    def __init__(
        self, folder: Path, form: template.Template, chosen: Sequence[rows.Row], limit: int
    ) -> None:
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.stops = stop_tokens(folder)
        self.form, self.rows, self.limit = form, chosen, limit

    def run(self, model: OnnxModel, start: int, end: int) -> dict[str, Any]:
        """All metrics of the model, and its first answers; progress goes from start to end."""
        losses, predicted, right, answers = 0.0, 0, 0, []
        for number, row in enumerate(self.rows):
            loss, count = self.loss(model, row)
            losses, predicted = losses + loss, predicted + count
            answer = self.ask(model, row)
            right += answer["answer"] == answer["expected"]
            answers.append(answer)
            progress(start + (end - start) * (number + 1) / len(self.rows))
        if not predicted:
            raise invalid("the rows are one token long; there is nothing to predict")
        return {
            "metrics": {
                "perplexity": float(np.exp(losses / predicted)),
                "exactMatch": right / len(self.rows),
                **self.speed(model),
            },
            "answers": answers[:SHOWN],
        }

    def encode(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
        return ids[: self.limit]

    def loss(self, model: OnnxModel, row: rows.Row) -> tuple[float, int]:
        """Summed negative log-likelihood in nats of a row's tokens, and how many were predicted."""
        ids = self.encode(self.form.render(row))
        if len(ids) < 2:
            return 0.0, 0
        return nll(model.logits(ids[:-1]), ids[1:]), len(ids) - 1

    def ask(self, model: OnnxModel, row: rows.Row) -> dict[str, str]:
        """The row's question, the answer expected, and the model's."""
        question, expected = self.form.question(row)
        limit = len(self.encode(expected)) + EXTRA_TOKENS
        tokens = model.generate(self.encode(question), limit, self.stops).tokens
        said = self.tokenizer.decode(tokens, skip_special_tokens=False)
        tail = self.form.tail.strip()
        answer = said.split(tail)[0] if tail else said
        return {"question": question, "expected": expected.strip(), "answer": answer.strip()}

    def speed(self, model: OnnxModel) -> dict[str, float]:
        """Tokens a second after the first, and seconds to the first: medians of single streams."""
        prompt = self.encode(self.form.question(self.rows[0])[0])
        model.generate(prompt, 2)
        runs = [model.generate(prompt, SPEED_TOKENS) for _ in range(SPEED_RUNS)]
        return {
            "tokensPerSecond": statistics.median(
                (len(r.tokens) - 1) / r.rest_seconds for r in runs
            ),
            "timeToFirstTokenSeconds": statistics.median(r.first_seconds for r in runs),
        }


def nll(logits: np.ndarray[Any, Any], targets: Sequence[int]) -> float:
    """Summed negative log-likelihood in nats; logits (tokens, vocabulary), targets (tokens)."""
    wide = logits.astype(np.float64)
    top = wide.max(axis=1, keepdims=True)
    total = np.log(np.exp(wide - top).sum(axis=1)) + top[:, 0]
    return float((total - wide[np.arange(len(targets)), targets]).sum())
