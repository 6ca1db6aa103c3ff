"""A LoRA's training, resumable at any step: its arguments, its checkpoints, what it measured."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from peft import PeftModel
from transformers import TrainingArguments
from transformers.trainer_callback import PrinterCallback

from olive_contract.params import Lora
from olive_stage.batches import Example, in_order
from olive_stage.console import progress, say
from olive_stage.failing import Cancelled
from olive_stage.fit import Fit
from olive_stage.lora_trainer import LoraTrainer
from olive_stage.ranks import Ranks
from olive_stage.stop import Stop
from olive_stage.watch import Watch, last_whole

RECOMPUTE_ABOVE = 2**28
"""Weights from which a CPU recomputes activations; a GPU does so once its memory runs out."""


@dataclass(frozen=True)
class Trained:
    """What a training measured, and (step, loss) of every step, earlier attempts' included."""

    metrics: dict[str, float]
    losses: list[tuple[int, float]]


def train(
    model: PeftModel,
    lora: Lora,
    examples: Sequence[Example],
    held: Sequence[Example],
    pad: int,
    checkpoints: Path,
    ranks: Ranks,
    packed: bool,
    less: int = 0,
) -> Trained:
    """Train in place, from the last whole checkpoint on; Cancelled once SIGTERM was obeyed.

    ``packed``: the model's int4 weights stay packed, as memory is short. ``less``: see Work.
    """
    torch.backends.cuda.matmul.allow_tf32 = True
    device = model.device
    fit = Fit(
        rows=-(-lora.batchSize // ranks.count),
        recompute=short_of_memory(model, packed)
        if lora.gradientCheckpointing is None
        else lora.gradientCheckpointing,
        free=lora.gradientCheckpointing is None,
        halved=less,
    )
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    with Stop() as stop:
        trainer = LoraTrainer(
            fit,
            pad,
            ranks,
            stop,
            model=model,
            args=arguments(lora, checkpoints, device.type == "cpu"),
            train_dataset=in_order(examples, lora.maxSteps * lora.batchSize, lora.seed),
            data_collator=list,
        )
        trainer.remove_callback(PrinterCallback)
        trainer.add_callback(Watch(lambda: trainer.stopping, fit, trainable * 12, ranks.first))
        ranks.join()
        last = last_whole(checkpoints)
        if last:
            say(f"going on from {last.name}")
        started = time.monotonic()
        trainer.train(resume_from_checkpoint=str(last) if last else None)
        seconds = time.monotonic() - started
    if trainer.stopping:
        raise Cancelled
    history = [(e["step"], e["loss"]) for e in trainer.state.log_history if "loss" in e]
    final = [loss for _, loss in history[-10:]]
    metrics = {
        "trainLoss": sum(final) / len(final),
        "trainableParameters": float(trainable),
        "tokensPerSecond": trainer.tokens / seconds,
        "microBatchSize": float(fit.micro),
        "gradientAccumulation": float(fit.accumulation),
        "steps": float(trainer.state.global_step),
        "resumedFrom": float(last.name.rsplit("-", 1)[1]) if last else 0.0,
    }
    if held:
        progress(96, message="measuring the rows held out")
        metrics["evalLoss"] = trainer.measure(held)
    if device.type == "cuda":
        metrics["peakGpuMemoryBytes"] = float(torch.cuda.max_memory_allocated())
    return Trained(metrics, history)


def short_of_memory(model: PeftModel, packed: bool) -> bool:
    """Whether activations are better recomputed from the first step on."""
    if model.device.type == "cuda":
        return packed
    weights = sum(t.numel() for t in [*model.parameters(), *model.buffers()])
    return bool(weights > RECOMPUTE_ABOVE)


def arguments(lora: Lora, checkpoints: Path, cpu: bool) -> TrainingArguments:
    """The Trainer's arguments: what a step is and when to save is not among them."""
    found = TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=lora.maxSteps,
        per_device_train_batch_size=lora.batchSize,
        learning_rate=lora.learningRate,
        lr_scheduler_type=lora.schedule,
        warmup_steps=math.ceil(lora.warmupRatio * lora.maxSteps),
        weight_decay=lora.weightDecay,
        seed=lora.seed,
        use_cpu=cpu,
        save_strategy="no",
        save_total_limit=2,
        logging_steps=1,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )
    if found.n_gpu > 1:
        found._n_gpu = 1  # this process's own; the Trainer would copy the model to all it sees
    return found
