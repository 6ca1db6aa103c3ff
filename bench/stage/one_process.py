"""Three adapters of one base, trained in one process that loads the base once.

    python bench/stage/one_process.py JOB MODEL DATA

``JOB`` is the JSON of a finetune stage's parameters, ``MODEL`` and ``DATA`` folders of artifacts.
Each training is the stage's own. Last line: JSON with ``one_process_s``, from the interpreter's
start to the last adapter on disk, and ``load_s``, what came before the first training.
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import psutil
from transformers import set_seed

from olive_contract.params import FinetuneParams
from olive_contract.serial import decode
from olive_stage import rows, template
from olive_stage.batches import to_train_on, tokenize
from olive_stage.checkpoint import load_model, load_tokenizer
from olive_stage.olive_lora import add_lora, save_adapter, unpack_if_it_fits
from olive_stage.ranks import Ranks
from olive_stage.training import train

ADAPTERS = 3


def main() -> None:
    params = decode(FinetuneParams, json.loads(sys.argv[1]))
    folder, data, lora = Path(sys.argv[2]), Path(sys.argv[3]), params.lora
    form = template.parse(params.template)
    tokenizer = load_tokenizer(folder)

    def encode(texts: list[str]) -> list[list[int]]:
        ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
        return ids

    learnt = tokenize(rows.read_rows(data, form), form, encode, lora.maxLength)
    base = load_model(folder)
    packed = unpack_if_it_fits(base)
    loaded = seconds()
    with tempfile.TemporaryDirectory() as temporary:
        for number in range(ADAPTERS):
            set_seed(number)
            model = add_lora(base, lora)
            checkpoints = Path(temporary) / f"checkpoints-{number}"
            pad = tokenizer.pad_token_id
            train(model, lora, to_train_on(learnt, lora), [], pad, checkpoints, Ranks(), packed)
            save_adapter(model, Path(temporary) / f"adapter-{number}", "base")
            base = model.unload()
    print(json.dumps({"one_process_s": round(seconds(), 1), "load_s": round(loaded, 1)}))


def seconds() -> float:
    """Since this process began."""
    return time.time() - float(psutil.Process().create_time())


if __name__ == "__main__":
    main()
