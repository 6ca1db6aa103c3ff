"""A store with artifacts of a job that has gone all its way, as far as their records tell of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from olive_contract.artifact import Artifact, describe
from olive_contract.keys import artifact_key, content_key
from olive_contract.store import Store
from olive_stage.work import Work

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Lineage:
    """Makes artifacts of a few words; what they hold is the test's own."""

    store: Store
    versions: dict[str, str] = field(default_factory=lambda: {"olive-ai": "0.13.0"})

    def fetched(self, what: str, source: str, content: str, **about: Any) -> str:
        """The key of a model, data set or adapter from ``source``."""
        params = {"what": what, "content": content}
        about = {"source": source, **about}
        return self._keep("fetch", content_key(what, content), params, {}, about=about)

    def made(
        self,
        kind: str,
        params: Mapping[str, Any],
        files: Mapping[str, bytes] | None = None,
        metrics: Mapping[str, float] | None = None,
        **inputs: str,
    ) -> str:
        """The key of what a stage made of ``inputs``."""
        key = artifact_key(kind, params, inputs)
        return self._keep(kind, key, params, inputs, files or {}, metrics or {})

    def _keep(
        self,
        kind: str,
        key: str,
        params: Mapping[str, Any],
        inputs: Mapping[str, str],
        files: Mapping[str, bytes] | None = None,
        metrics: Mapping[str, float] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> str:
        with self.store.building(key) as folder:
            for name, content in (files or {}).items():
                (folder / name).write_bytes(content)
            self.store.commit(
                folder,
                Artifact(
                    *(key, kind, dict(params), dict(inputs), describe(folder)),
                    versions=dict(self.versions),
                    metrics=dict(metrics or {}),
                    about=dict(about or {}),
                ),
            )
        return key


BASE_FILES = {
    "model.onnx": b"graph" * 100,
    "model.onnx.data": b"weights" * 50_000,
    "genai_config.json": b"{}",
    "tokenizer.json": b'{"model": {}}',
}


def publication(
    root: Path,
    adapters: tuple[str, ...] = ("travel",),
    license: str = "mit",
    base_files: Mapping[str, bytes] = BASE_FILES,
    gates: tuple[str, ...] = ("perplexity at most 9.5",),
    source: str = "hf://owner/model@main",
) -> Work:
    """The work of a publish stage, with an empty folder to write into."""
    line = Lineage(Store(root / "store"))
    line.store.root.mkdir(parents=True, exist_ok=True)
    about = {"license": license} if license else {}
    model = line.fetched("model", source, COMMIT, **about)
    sample = line.fetched("data", "https://example.com/calibration.jsonl", "c" * 64)
    rtn = {"algorithm": "awq", "precision": "int4", "groupSize": 128}
    quantized = line.made("quantize", rtn, model=model, calibration=sample)
    export = {"device": "cpu", "precision": "int4"}
    keys = {"base": line.made("export", export, base_files, model=quantized), "model": model}
    for name in adapters:
        data = line.fetched("data", f"pvc://team/{name}.jsonl", f"digest of {name}")
        lora = {"lora": {"rank": 16, "maxSteps": 100, "targetModules": []}}
        trained = line.made("finetune", lora, model=quantized, data=data)
        keys[f"adapter/{name}"] = line.made(
            *("adapter", {}, {"adapter.onnx_adapter": f"adapter {name}".encode()}, {"rank": 16.0}),
            base=keys["base"],
            adapter=trained,
        )
        keys[f"evaluate/{name}"] = line.made(
            *("evaluate", {"samples": 64}, {}, {"perplexity": 7.25, "tokensPerSecond": 41.0}),
            base=keys["base"],
            adapter=keys[f"adapter/{name}"],
        )
    out = root / "out"
    out.mkdir()
    inputs = {role: line.store.record(key) for role, key in keys.items()}
    return Work("e" * 64, line.store, inputs, out, job="ml/travel", gates=gates)
