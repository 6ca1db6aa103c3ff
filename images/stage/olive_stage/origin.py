"""Where a model artifact comes from, in words for messages: a key alone tells people nothing."""

from olive_contract.store import Store


def described(store: Store, key: str) -> str:
    """The model of this key: ``0123456789ab (hf://owner/name@commit, quantize rtn)``."""
    steps: list[str] = []
    at: str | None = key
    while at and (artifact := store.find(at)):
        if artifact.kind == "fetch":
            steps.append(str(artifact.about.get("source", "")))
        else:
            steps.append(f"{artifact.kind} {artifact.params.get('algorithm', '')}".strip())
        at = artifact.inputs.get("model")
    told = ", ".join(step for step in reversed(steps) if step)
    return f"{key[:12]} ({told})" if told else key[:12]
