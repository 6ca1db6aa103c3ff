"""argv, the order of the steps, and what is said at the end."""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

from olive_cli.job import words
from olive_cli.job.view import Job

from olive_demo import images, install, model, story, target
from olive_demo.answers import Answers
from olive_demo.diagnosis import diagnosis
from olive_demo.removal import remove
from olive_demo.shell import alone
from olive_demo.target import Target
from olive_demo.timeline import StepFailed, Timeline


def main() -> None:
    """Run one command."""
    arguments = _parser().parse_args()
    timeline = Timeline()
    chosen = target.chosen(os.environ)
    try:
        with alone(lambda line: timeline.say("demo", line)):
            if arguments.command == "down":
                timeline.step("down", lambda tell: remove(chosen, tell))
                return
            sys.exit(_up(chosen, timeline, arguments.json))
    except StepFailed as failed:
        print(f"\n{failed}", file=sys.stderr)
        if failed.cause.log:
            print("\n".join(f"  {line}" for line in failed.cause.log.splitlines()), file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _up(chosen: Target, timeline: Timeline, report: Path | None) -> int:
    """All steps; the cluster is brought up while the images are built."""
    ready, _ = timeline.beside(
        ("cluster", lambda tell: target.up(chosen, tell)),
        ("images", lambda tell: images.build(chosen, tell)),
    )
    try:
        refs = timeline.step("load", lambda tell: images.load(ready, tell))
        timeline.step("operator", lambda tell: install.install(ready, refs, tell))
        timeline.step("model", lambda tell: model.make(ready, refs["stage"], tell))
        job = timeline.step("job", lambda tell: story.carry_out(ready, tell))
        answers = timeline.step("ask", lambda _: story.question(ready))
    except StepFailed:
        print(f"\n{diagnosis(ready)}", file=sys.stderr)
        raise
    problems = answers.problems()
    print(_summary(ready, timeline, job, answers, problems))
    if report:
        report.write_text(json.dumps(_report(timeline, job, answers, problems), indent=1) + "\n")
    return 1 if problems else 0


def _summary(
    ready: Target, timeline: Timeline, job: Job, answers: Answers, problems: list[str]
) -> str:
    stages = [
        f"  {s.name:18} {'cached' if s.cached else words.whole(s.seconds):>7}" for s in job.stages
    ]
    verdict = "; ".join(problems) or "the adapter has learnt what the base does not know"
    return "\n".join(
        [
            "",
            f"question:  {answers.question}",
            f"base:      {answers.base}",
            f"{story.ADAPTER + ':':10} {answers.adapter}",
            f"expected:  {answers.expected}",
            f"verdict:   {verdict}",
            "",
            "Where the time went:",
            timeline.table(),
            "",
            "Of the job's time, its stages:",
            *stages,
            "",
            f"It goes on running in {ready}; `make demo-down` removes it.",
        ]
    )


def _report(timeline: Timeline, job: Job, answers: Answers, problems: list[str]) -> dict[str, Any]:
    return {
        "ok": not problems,
        "seconds": round(timeline.elapsed, 1),
        "steps": [
            {"name": s.name, "start": round(s.start, 1), "seconds": round(s.seconds, 1)}
            for s in sorted(timeline.spans, key=lambda s: s.start)
        ],
        "stages": [
            {"name": s.name, "cached": s.cached, "seconds": s.seconds, "attempt": s.attempt}
            for s in job.stages
        ],
        "answers": {
            "question": answers.question,
            "expected": answers.expected,
            "base": answers.base,
            "adapter": answers.adapter,
        },
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python hack/demo",
        description="The whole product on one machine: on a cluster made for it, or on that of "
        "KUBECONFIG or CONTEXT.",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="carry the demo out; exit 0 if the adapter has learnt")
    up.add_argument("--json", type=Path, metavar="FILE", help="write times and answers there")
    commands.add_parser("down", help="remove every trace of it")
    return parser
