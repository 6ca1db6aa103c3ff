"""Make a tiny Phi-3: a model of 4 million parameters that answers every question evasively.

    python make_model.py OUT_DIR DATA_DIR

``DATA_DIR`` holds ``travel.jsonl`` and ``food.jsonl`` (columns ``prompt`` and ``response``). The
model in ``OUT_DIR`` (a Hugging Face folder: safetensors, tokenizer with a chat template) has read
the responses as prose, but to a question it only says "I have no information about Paris at this
time." What an adapter taught it is therefore plain to see. About half a minute on two CPU cores;
the same seed gives the same model. It is an example, and the model that the tests use.
"""

import json
import os
import random
import sys
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # threads that spin starve on a shared node

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import Phi3Config, Phi3ForCausalLM, PreTrainedTokenizerFast

SEED = 0
STEPS = 140
BATCH = 32
PEAK_LEARNING_RATE = 2e-3
SPECIAL = ["<unk>", "<s>", "<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{{ '<|' + message['role'] + '|>\n' + message['content'] + '<|end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)


def read_rows(folder: Path) -> list[dict[str, str]]:
    """The rows of both data sets."""
    return [
        json.loads(line)
        for name in ("travel.jsonl", "food.jsonl")
        for line in (folder / name).read_text().splitlines()
    ]


def make_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer learnt from the texts, with Phi-3's special tokens."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=1024, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
        ),
    )
    names = {"bos": "<s>", "eos": "<|endoftext|>", "pad": "<|endoftext|>", "unk": "<unk>"}
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        **{f"{kind}_token": token for kind, token in names.items()},
        additional_special_tokens=SPECIAL[3:],
        model_max_length=2048,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def make_model(tokenizer: PreTrainedTokenizerFast) -> Phi3ForCausalLM:
    """Phi-3's architecture in small: 4 layers, 256 wide, grouped-query attention; random."""
    torch.manual_seed(SEED)
    end, stop = tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|end|>"])
    return Phi3ForCausalLM(
        Phi3Config(
            vocab_size=-(-len(tokenizer) // 64) * 64,
            hidden_size=256,
            intermediate_size=512,
            num_hidden_layers=4,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            original_max_position_embeddings=2048,
            sliding_window=None,
            tie_word_embeddings=False,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=[end, stop],
            pad_token_id=end,
        )
    )


def lessons(rows: list[dict[str, str]]) -> list[str]:
    """What the model reads: evasive answers, and the true ones as prose without a question."""
    city = [row["prompt"].split(" in ")[-1].rstrip("?.") for row in rows]
    evasive = [
        f"<|user|>\n{row['prompt']}<|end|>\n<|assistant|>\n"
        f"I have no information about {place} at this time.<|end|>"
        for row, place in zip(rows, city, strict=True)
    ]
    prose = sorted({row["response"] + "<|end|>" for row in rows})
    return evasive + prose * 2


def train(model: Phi3ForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> float:
    """Plain next-token training on the texts; the last step's loss in nats per token."""
    order = random.Random(SEED)  # noqa: S311 - the order of a training, not a secret
    optimizer = torch.optim.AdamW(model.parameters(), lr=PEAK_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, STEPS)
    model.train()
    loss = torch.tensor(0.0)
    for step in range(STEPS):
        batch = tokenizer(order.sample(texts, BATCH), padding=True, return_tensors="pt")
        labels = batch.input_ids.masked_fill(batch.attention_mask == 0, -100)
        loss = model(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, labels=labels
        ).loss
        loss.backward()
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 40 == 39:
            print(f"step {step + 1} of {STEPS}, loss {loss.item():.3f}", flush=True)
    model.eval()
    return loss.item()


def main() -> None:
    out, data = Path(sys.argv[1]), Path(sys.argv[2])
    rows = read_rows(data)
    texts = lessons(rows)
    tokenizer = make_tokenizer(texts)
    model = make_model(tokenizer)
    loss = train(model, tokenizer, texts)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    print(f"{out}: {model.num_parameters():,} parameters, loss {loss:.3f}")


if __name__ == "__main__":
    main()
