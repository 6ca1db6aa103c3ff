"""A LoRA's training: Transformers' Trainer, watched, and resumable at any moment.

Olive's LoRA pass calls the same Trainer but offers no hook for progress, a diverging loss or a
stop, and returns no metrics (docs/adr). Schedule: 3 % warm-up, then linear to zero. A checkpoint
counts only once it is marked whole: a killed attempt can leave half of one behind.
"""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import (
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)
from transformers.trainer_callback import PrinterCallback

from olive_contract.failures import FailureClass, StageFailure
from olive_contract.params import Lora
from olive_stage.console import progress, say

WHOLE = "whole"
"""The empty file that marks a complete checkpoint."""

RECOMPUTE_ABOVE = 2**28
"""Parameters from which activations are recomputed (slower) rather than kept (memory)."""

IGNORED = -100
"""The label that the loss leaves out."""

Tokens = dict[str, list[int]]


class Watch(TrainerCallback):  # type: ignore[misc]
    """Progress at every step, a mark on every whole checkpoint, an end to a diverging loss."""

    def __init__(self) -> None:
        self.started = time.monotonic()
        self.first = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self.started, self.first = time.monotonic(), state.global_step

    def on_save(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
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
        if not math.isfinite(loss):
            raise StageFailure(
                FailureClass.STAGE_ERROR,
                f"the loss diverged at step {state.global_step}; lower learningRate "
                f"(it is {args.learning_rate:g})",
            )
        spent = time.monotonic() - self.started
        left = (args.max_steps - state.global_step) * spent / (state.global_step - self.first)
        progress(
            95 * state.global_step / args.max_steps,
            left,
            loss,
            f"step {state.global_step} of {args.max_steps}",
        )


def train(
    model: PeftModel,
    lora: Lora,
    rows: Sequence[Tokens],
    held: Sequence[Tokens],
    pad: int,
    checkpoints: Path,
) -> dict[str, float]:
    """Train in place, from the last whole checkpoint on; ``trainLoss`` and ``evalLoss`` (nats)."""
    recompute = model.num_parameters() > RECOMPUTE_ABOVE
    model.config.use_cache = False
    if recompute:
        model.enable_input_require_grads()
    torch.backends.cuda.matmul.allow_tf32 = True
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=lora.maxSteps,
        per_device_train_batch_size=lora.batchSize,
        per_device_eval_batch_size=lora.batchSize,
        learning_rate=lora.learningRate,
        lr_scheduler_type="linear",
        warmup_steps=math.ceil(0.03 * lora.maxSteps),
        seed=lora.seed,
        data_seed=lora.seed,
        gradient_checkpointing=recompute,
        gradient_checkpointing_kwargs={"use_reentrant": False} if recompute else None,
        save_steps=max(10, lora.maxSteps // 10),
        save_total_limit=2,
        logging_steps=1,
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
        disable_tqdm=True,
        report_to="none",
    )
    model.is_parallelizable = model.model_parallel = True  # several GPUs: by layers, not by copies
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=list(rows),
        eval_dataset=list(held) or None,
        data_collator=lambda batch: collate(batch, pad),
        callbacks=[Watch()],
    )
    trainer.remove_callback(PrinterCallback)
    last = last_whole(checkpoints)
    if last:
        say(f"going on from {last.name}")
    trainer.train(resume_from_checkpoint=str(last) if last else None)
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry][-10:]
    metrics = {"trainLoss": sum(losses) / len(losses)}
    if held:
        metrics["evalLoss"] = float(trainer.evaluate()["eval_loss"])
    return metrics


def collate(batch: Sequence[Tokens], pad: int) -> dict[str, torch.Tensor]:
    """Rows padded on the right to the longest: ids, mask and labels of shape (rows, tokens)."""
    longest = max(len(row["input_ids"]) for row in batch)

    def padded(value: int, of: Any) -> torch.Tensor:
        lists = [of(row["input_ids"]) for row in batch]
        return torch.tensor([ids + [value] * (longest - len(ids)) for ids in lists])

    return {
        "input_ids": padded(pad, list),
        "attention_mask": padded(0, lambda ids: [1] * len(ids)),
        "labels": padded(IGNORED, list),
    }


def last_whole(checkpoints: Path) -> Path | None:
    """The newest checkpoint that was written to its end."""
    whole = [mark.parent for mark in checkpoints.glob(f"checkpoint-*/{WHOLE}")]
    return max(whole, key=lambda path: int(path.name.rsplit("-", 1)[1]), default=None)
