"""What a training does beside training: progress, checkpoints in time, an end when it must end."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.console import progress
from olive_stage.fit import Fit
from olive_stage.losses import Losses

WHOLE = "whole"
"""The empty file that marks a complete checkpoint."""

SECONDS_A_BYTE = 50e-9
"""Training between two checkpoints for each byte of one: at 200 MB/s a tenth of the time."""


class Watch(TrainerCallback):  # type: ignore[misc]
    """``stopping`` says after each step whether to end; ``size`` is a checkpoint's, in bytes.

    Of several processes all watch the loss, and the one that ``writes`` saves checkpoints.
    """

    def __init__(
        self, stopping: Callable[[], bool], fit: Fit, size: int, writes: bool = True
    ) -> None:
        self.stopping, self.fit, self.size, self.writes = stopping, fit, size, writes
        self.losses = Losses()
        self.started = self.saved = time.monotonic()
        self.first = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.started = self.saved = time.monotonic()
        self.first = state.global_step
        for entry in state.log_history:
            if "loss" in entry:
                self.losses.diverge(entry["loss"])

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        due = state.global_step % max(10, args.max_steps // 10) == 0
        worth = time.monotonic() - self.saved > self.size * SECONDS_A_BYTE
        control.should_save = due and worth and state.global_step < args.max_steps
        if self.stopping():
            control.should_save = control.should_training_stop = True
        control.should_save = control.should_save and self.writes

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.saved = time.monotonic()
        (Path(args.output_dir) / f"checkpoint-{state.global_step}" / WHOLE).touch()

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if self.losses.diverge(loss):
            became = "" if math.isfinite(loss) else f" (it is {loss})"
            raise StageFailure(
                FailureClass.STAGE_ERROR,
                f"the loss diverged at step {state.global_step}{became}; lower learningRate "
                f"(it is {args.learning_rate:g})",
            )
        spent = time.monotonic() - self.started
        left = (args.max_steps - state.global_step) * spent / (state.global_step - self.first)
        progress(
            95 * state.global_step / args.max_steps,
            left,
            loss,
            f"step {state.global_step} of {args.max_steps}{self.fit.note}",
        )


def last_whole(checkpoints: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    whole = [mark.parent for mark in checkpoints.glob(f"checkpoint-*/{WHOLE}")]
    return max(whole, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)
