"""onnxruntime-genai's own loop, run in the server's environment: FOLDER THREADS.

A line ``MODEL TOKENS PROMPT`` is answered, greedily, with a line that says how many tokens came.
"""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import onnxruntime_genai as og


def main() -> None:
    folder, threads = Path(sys.argv[1]), int(sys.argv[2])
    serving = json.loads((folder / "serving.json").read_text())
    with TemporaryDirectory() as temporary:
        model = og.Model(str(with_threads(folder / "model", threads, Path(temporary))))
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


def with_threads(model: Path, threads: int, into: Path) -> Path:
    """The same export, told how many threads there are: genai takes that from its file alone."""
    for file in model.iterdir():
        if file.name != "genai_config.json":
            (into / file.name).symlink_to(file.resolve())
    config = json.loads((model / "genai_config.json").read_text())
    config["model"]["decoder"]["session_options"]["intra_op_num_threads"] = threads
    (into / "genai_config.json").write_text(json.dumps(config))
    return into


if __name__ == "__main__":
    main()
