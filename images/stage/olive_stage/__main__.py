"""``python -m olive_stage '<StageInput JSON>'``: environment, log, one attempt, exit code.

``python -m olive_stage sweep '<Sweep JSON>'`` sweeps the store instead.

The report goes to the kubelet's termination message; OLIVE_REPORT_PATH puts it elsewhere. The exit
code is 0 for an artifact that is whole and in the store, 1 for anything else.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

from olive_contract.failures import FailureClass
from olive_contract.stage import REPORT_PATH, Report, StageInput
from olive_stage import console, environment, sweep


def main(argv: list[str]) -> int:
    """Run the attempt, or the sweep, that ``argv`` describes; 0 or 1."""
    tail = console.keep_tail()
    if len(argv) == 2 and argv[0] == "sweep":
        return finish(sweep.run(argv[1]))
    try:
        if len(argv) != 1:
            raise ValueError("one argument is needed, the stage input as JSON")
        stage_input = StageInput.from_json(argv[0])
    except ValueError as error:
        message = f"the stage input cannot be read: {error}"
        return finish(Report(outcome="Failed", reason=FailureClass.INVALID_INPUT, message=message))
    environment.prepare(stage_input.kind)
    from olive_stage.run import run  # the environment is read when libraries are imported

    return finish(run(stage_input, tail))


def finish(report: Report) -> int:
    """Leave the report where the operator reads it, and say it in the log too."""
    path = Path(os.environ.get("OLIVE_REPORT_PATH", REPORT_PATH))
    text = report.to_json()
    try:
        path.write_text(text)
    except OSError as error:
        print(f"the report cannot be written to {path}: {error}", file=sys.stderr)
    print(f"{report.outcome}: {report.message or report.key}", flush=True)
    return 0 if report.outcome == "Succeeded" else 1


def leave(code: int) -> NoReturn:
    """End at once: taking PyTorch down in order would hold the GPU for a second or two more."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
