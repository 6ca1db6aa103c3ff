"""A step of a LoRA's training: Transformers' Trainer, with the whole batch in the step's hands.

A step is a function of the seed, its number and the weights. The Trainer hands over the rows of the
whole batch; each process takes its share, in as many micro-batches as its memory asks for; every
token weighs the same; the gradients are added up once. (DistributedDataParallel would exchange them
inside the backward pass, where one process out of memory leaves the others waiting.)
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader
from transformers import Trainer

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.batches import Example, predicted
from olive_stage.checkpoint import compute_dtype
from olive_stage.collate import IGNORED, collate
from olive_stage.console import progress, say
from olive_stage.fit import Fit
from olive_stage.ranks import Ranks
from olive_stage.stop import Stop


class LoraTrainer(Trainer):  # type: ignore[misc]
    """The Trainer, with steps as the module's docstring says."""

    def __init__(self, fit: Fit, pad: int, ranks: Ranks, stop: Stop, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.fit, self.pad, self.ranks, self.stop = fit, pad, ranks, stop
        self.stopping = False
        self.tokens = 0
        self.recompute_or_keep()

    def get_train_dataloader(self) -> Any:
        return DataLoader(
            self.train_dataset, self.args.per_device_train_batch_size, collate_fn=list
        )

    def training_step(
        self, model: torch.nn.Module, inputs: list[Example], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """The whole batch's loss in nats a token, the same in every process."""
        model.train()
        loss = self.backward(model, inputs)
        said = torch.stack([loss, torch.full_like(loss, self.stop.asked)])
        self.ranks.add_up([p.grad for p in model.parameters() if p.grad is not None] + [said])
        self.stopping = self.stop.asked if self.ranks.count == 1 else bool(said[1])
        self.tokens += sum(len(ids) for example in inputs for ids in example)
        return said[0]

    def backward(self, model: torch.nn.Module, batch: list[Example]) -> torch.Tensor:
        """This process's part of the loss and of the gradients, with less memory if need be."""
        while True:
            torch.manual_seed(
                (self.args.seed * 1_000_003 + self.state.global_step) * 1_009 + self.ranks.rank
            )
            try:
                return self.accumulate(model, self.ranks.share(batch), predicted(batch))
            except torch.OutOfMemoryError as error:
                reason = str(error).splitlines()[0]
            self.take_less(model, reason)  # after the except clause, whose error holds tensors

    def accumulate(
        self, model: torch.nn.Module, mine: Sequence[Example], tokens: int
    ) -> torch.Tensor:
        total = torch.zeros((), device=self.args.device)
        for start in range(0, len(mine), self.fit.micro):
            loss = summed_loss(model, mine[start : start + self.fit.micro], self.pad) / tokens
            loss.backward()
            total += loss.detach()
        return total

    def measure(self, held: Sequence[Example]) -> float:
        """Nats a token on rows that are not trained on."""
        self.model.eval()
        mine = self.ranks.share(held)
        total = torch.zeros((), device=self.args.device)
        with torch.no_grad():
            for start in range(0, len(mine), self.fit.micro):
                batch = mine[start : start + self.fit.micro]
                total += summed_loss(self.model, batch, self.pad)
        self.ranks.add_up([total])
        return float(total) / predicted(held)

    def take_less(self, model: torch.nn.Module, reason: str) -> None:
        model.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()
        if not (what := self.fit.less()):
            raise StageFailure(
                FailureClass.GPU_OUT_OF_MEMORY,
                f"one row at a time does not fit either; lower maxLength or rank: {reason}",
            )
        self.recompute_or_keep()
        say(f"step {self.state.global_step + 1} does not fit into the GPU's memory: {what}")
        progress(95 * self.state.global_step / self.args.max_steps, message=what)

    def recompute_or_keep(self) -> None:
        """Have the model recompute activations, or keep them, as is decided."""
        if self.fit.recompute:
            self.model.gradient_checkpointing_enable({"use_reentrant": False})
        else:
            self.model.gradient_checkpointing_disable()


def summed_loss(model: torch.nn.Module, examples: Sequence[Example], pad: int) -> torch.Tensor:
    """Summed negative log-likelihood in nats of these examples' tokens."""
    inputs, targets = collate(examples, pad, model.device)
    logits = logits_of(model, inputs).flatten(0, 1)
    return cross_entropy(logits, targets.flatten(), ignore_index=IGNORED, reduction="sum")


def logits_of(model: torch.nn.Module, inputs: dict[str, Any]) -> torch.Tensor:
    """What the model says, as float32 of shape (examples, tokens, vocabulary).

    Matrices are multiplied in bfloat16 where the model is; the LoRA's own weights are float32.
    """
    bfloat16 = compute_dtype() is torch.bfloat16
    with torch.autocast(model.device.type, torch.bfloat16, enabled=bfloat16):
        logits: torch.Tensor = model(**inputs).logits
    return logits.float()
