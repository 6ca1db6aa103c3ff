"""onnxruntime-genai's own loop, run in the server's environment: FOLDER THREADS.

A line ``MODEL TOKENS PROMPT`` is answered, greedily, with a line that says how many tokens came.
"""

import json
import sys
from pathlib import Path

import onnxruntime_genai as og


def main() -> None:
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])
    serving = json.loads((folder / "serving.json").read_text())
    config = og.Config(str(folder / "model"))
    options = {"session_options": {"intra_op_num_threads": threads}}
    config.overlay(json.dumps({"model": {"decoder": options}}))
    model = og.Model(config)
    tokenizer, adapters = og.Tokenizer(model), og.Adapters(model)
    for adapter in serving["adapters"]:
        file = folder / "store" / adapter["key"] / "adapter.onnx_adapter"
        adapters.load(str(file), adapter["name"])
    for line in sys.stdin:
        name, tokens, prompt = line.split()
        ids = tokenizer.encode(prompt)
        params = og.GeneratorParams(model)
        params.set_search_options(do_sample=False, max_length=len(ids) + int(tokens))
        generator = og.Generator(model, params)
        if name != "base":
            generator.set_active_adapter(adapters, name)
        stream, made = tokenizer.create_stream(), 0
        generator.append_tokens(ids)
        while not generator.is_done():
            generator.generate_next_token()
            stream.decode(generator.get_next_tokens()[0])
            made += 1
        print(made, flush=True)


if __name__ == "__main__":
    main()
