"""evaluate: the exported model as it will be served, with its adapter and without it.

Perplexity is over the whole rendered text, as the training's loss is; exact match and F1 ask the
template up to its last column and compare the greedy answer with that column (a template that
begins with its last column asks nothing). Speed is of one stream, and only measured of an export
that is for a CPU, as this is one. The model is loaded once.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import Tokenizer

from olive_contract.params import EvaluateParams
from olive_stage.answers import exact_match, f1
from olive_stage.console import progress, say
from olive_stage.genai_folder import ADAPTER_FILE
from olive_stage.measured_rows import MeasuredRows, choose
from olive_stage.onnx_model import OnnxModel, stop_tokens
from olive_stage.perplexity import Perplexity
from olive_stage.work import Made, Work, invalid

SPEED_TOKENS = 64
SPEED_RUNS = 3
SHOWN = 5
EXTRA_TOKENS = 8
"""Tokens that an answer may be longer than expected before it is cut, and wrong."""


def make(params: EvaluateParams, work: Work) -> Made:
    """Measure input ``base`` with input ``adapter`` (optional) on input ``data``.

    Input ``reference`` (optional) is what the original model's perplexity is taken from.
    """
    base, folder = work.input("base"), work.folder("base")
    measured = choose(
        params, work.folder("data"), Tokenizer.from_file(str(folder / "tokenizer.json"))
    )
    timed = base.params["provider"] == "CPUExecutionProvider"
    if not timed:
        say("the export is for another device than this CPU: its speed is not measured")
    test = Test(measured, stop_tokens(folder), timed)
    model = OnnxModel(folder)
    adapted = "adapter" in work.inputs
    found = {"base": test.run(model, 0, 50 if adapted else 95)}
    sizes = {"sizeBytes": float(base.size)}
    if adapted:
        check_converted(work)
        sizes["sizeBytes"] += work.input("adapter").size
        model = model.adapted(work.folder("adapter") / ADAPTER_FILE)
        found["adapter"] = test.run(model, 50, 95)
    bare = found["base"]["metrics"]
    metrics = {
        **(found["adapter"] if adapted else found["base"])["metrics"],
        **{f"base{name[0].upper()}{name[1:]}": value for name, value in bare.items()},
        **sizes,
        **original(work, bare["perplexity"], test.tokens),
    }
    about: dict[str, object] = {
        "rows": len(measured.rows),
        "tokens": test.tokens,
        "heldOut": measured.held,
    }
    report = {**about, **found, "metrics": metrics}
    (work.out / "evaluation.json").write_text(json.dumps(report, indent=1, ensure_ascii=False))
    return Made(metrics=metrics, about=about, libraries=("onnxruntime", "tokenizers", "numpy"))


def check_converted(work: Work) -> None:
    """InvalidInput if the adapter was converted for another export: its inputs may differ."""
    made_for = work.input("adapter").about["base"]
    if made_for != work.input("base").key:
        raise invalid(
            f"the adapter was converted for export {made_for[:12]}, "
            f"not for {work.input('base').key[:12]}"
        )


def original(work: Work, perplexity: float, tokens: int) -> dict[str, float]:
    """The original's perplexity, and by what share that of the bare base is higher."""
    if "reference" not in work.inputs:
        return {}
    reference = work.input("reference").metrics
    if reference["tokens"] != tokens:
        raise invalid(
            f"the original was measured on {reference['tokens']:.0f} tokens of the rows, the "
            f"export on {tokens}: their tokenizers differ; set evaluate.reference to false"
        )
    return {
        "originalPerplexity": reference["perplexity"],
        "perplexityChange": perplexity / reference["perplexity"] - 1,
    }


class Test:
    """Questions to an exported model. ``tokens`` are those predicted in the last run."""

    def __init__(self, measured: MeasuredRows, stops: set[int], timed: bool) -> None:
        self.measured, self.timed, self.tokens = measured, timed, 0
        self.questions = [measured.form.question(row) for row in measured.rows]
        self.asks = all(measured.encode(question) for question, _ in self.questions)
        self.tail = measured.form.tail.strip()
        after = measured.encode(self.tail)
        self.stops = stops | set(after if len(after) == 1 else ())

    def run(self, model: OnnxModel, start: int, end: int) -> dict[str, Any]:
        """All metrics of the model, and its first answers; progress goes from start to end."""
        perplexity, answers, count = Perplexity(), [], len(self.questions)
        for number, (ids, question) in enumerate(
            zip(self.measured.texts(), self.questions, strict=True), start=1
        ):
            if len(ids) > 1:
                perplexity.add(model.logits(ids[:-1]), ids[1:])
            if self.asks:
                answers.append(self.ask(model, *question))
            progress(start + (end - start) * number / count)
        self.tokens = perplexity.tokens
        return {
            "metrics": {
                "perplexity": perplexity.value,
                **scores(answers),
                **(self.speed(model) if self.timed else {}),
            },
            "answers": answers[:SHOWN],
        }

    def ask(self, model: OnnxModel, question: str, expected: str) -> dict[str, str]:
        """The question, the answer expected, and the model's."""
        limit = len(self.measured.encode(expected)) + EXTRA_TOKENS
        tokens = model.generate(self.measured.encode(question), limit, self.stops).tokens
        said = self.measured.tokenizer.decode(tokens, skip_special_tokens=False)
        answer = said.split(self.tail)[0] if self.tail else said
        return {"question": question, "expected": expected.strip(), "answer": answer.strip()}

    def speed(self, model: OnnxModel) -> dict[str, float]:
        """Tokens a second after the first, and seconds to the first: medians of single streams."""
        prompt = self.measured.encode(self.questions[0][0]) or next(self.measured.texts())
        model.generate(prompt, 2)
        runs = [model.generate(prompt, SPEED_TOKENS) for _ in range(SPEED_RUNS)]
        return {
            "tokensPerSecond": statistics.median(
                (len(r.tokens) - 1) / r.rest_seconds for r in runs
            ),
            "timeToFirstTokenSeconds": statistics.median(r.first_seconds for r in runs),
        }


def scores(answers: Sequence[Mapping[str, str]]) -> dict[str, float]:
    """Means over all answers; nothing where nothing was asked."""
    measures = {"exactMatch": exact_match, "f1": f1} if answers else {}
    return {
        name: statistics.fmean(measure(a["answer"], a["expected"]) for a in answers)
        for name, measure in measures.items()
    }
