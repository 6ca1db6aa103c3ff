"""``python -m hostile.runner ROOT``: every case in this one process, with little memory to spare.

One line of JSON for each: its name, the report, and what the case left where nothing may be.
"""

import json
import os
import resource
import shutil
import sys
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from hostile import configs, datasets, later, loras, pickled, places, servers, weights
from hostile.case import CANARY, Case
from standin_hub import StandinHub, serving

from olive_contract.artifact import Artifact, describe
from olive_contract.keys import digest
from olive_contract.params import body_of, params_of
from olive_contract.stage import StageInput
from olive_contract.store import Store

SPARE = 768 << 20
"""Bytes of memory that a case may take beyond what the process has when all is imported."""

SMALLER = {"FILE_LIMIT": 64 << 20, "ROW_LIMIT": 2000}
"""Limits of data sets, so that reaching them takes no minute."""


def cases() -> Iterator[Case]:
    for family in (weights, configs, places, datasets, servers, loras, pickled, later):
        yield from family.cases()


def main(root: Path) -> None:
    with serving(StandinHub()) as hub:
        os.environ.update(
            HF_ENDPOINT=hub.address,
            HF_HUB_OFFLINE="0",
            NO_PROXY="127.0.0.1,localhost",
            no_proxy="127.0.0.1,localhost",
            OLIVE_HTTP_HOSTS="127.0.0.1",
            OLIVE_SOURCES=str(root / "sources"),
        )
        bound()
        for number, case in enumerate(cases()):
            print(json.dumps(tried(case, root, number, hub)), file=sys.__stderr__, flush=True)


def bound() -> None:
    """Import all that a fetch can import, make the limits small, and then bound the memory."""
    import torch  # noqa: F401
    from transformers.models.auto.auto_mappings import CONFIG_MAPPING_NAMES  # noqa: F401

    from olive_stage import adapter, check, fetch, hub, object_store, rows, run, web  # noqa: F401

    for module in (fetch, hub, object_store, rows, web):
        for name, value in SMALLER.items():
            if hasattr(module, name):
                setattr(module, name, value)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * os.sysconf("SC_PAGE_SIZE") + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        bytearray(2 * SPARE)
    except MemoryError:
        return
    raise SystemExit("the bound does not hold")


def tried(case: Case, root: Path, number: int, hub: StandinHub) -> dict[str, object]:
    """What came of the case; its claim and its store are gone afterwards."""
    from olive_stage.run import run

    claim, store = root / "sources" / "team" / "it", root / f"store{number}"
    shutil.rmtree(root / "sources", ignore_errors=True)
    claim.mkdir(parents=True)
    store.mkdir()
    for name, body in case.files.items():
        if body is not None:
            (claim / name).parent.mkdir(exist_ok=True)
            (claim / name).write_bytes(body)
    case.lay(claim)
    hub.pages.clear()
    hub.repositories.clear()
    hub.endless.clear()
    case.serve(hub)
    Path(CANARY).unlink(missing_ok=True)
    before = outside(root, store)
    report = run(stage_input(case, store, hub.address), deque())
    found = {
        "name": case.name,
        "report": report.to_json(),
        "kept": [p.name for p in store.glob("*/*") if p.parent.name == report.key],
        "left": [str(p) for p in (store / ".building").glob("*")],
        "outside": sorted(map(ascii, outside(root, store) ^ before)),
        "canary": Path(CANARY).exists(),
    }
    shutil.rmtree(store)
    return found


def stage_input(case: Case, store: Path, server: str) -> StageInput:
    """The attempt of the case; what it is given lies in the store then."""
    if case.kind == "fetch":
        source = case.source.replace("{server}", server)
        body = body_of(params_of("fetch", {"what": case.what, "source": source, **case.params}))
        return StageInput("fetch/it", "fetch", body, store=str(store))
    inputs = {}
    for role, stored in case.inputs.items():
        with Store(store).building(role) as out:
            for name, content in stored.files.items():
                (out / name).write_bytes(content)
            key = digest([role])
            artifact = Artifact(key, "fetch", {}, {}, describe(out), about=dict(stored.about))
            Store(store).commit(out, artifact)
        inputs[role] = key
    return StageInput("it", case.kind, dict(case.params), inputs, digest(["it"]), str(store))


def outside(root: Path, store: Path) -> set[str]:
    """Everything below the root and beside it that is not in the store."""
    found = {ascii(p) for p in root.parent.iterdir()}
    for parent, folders, names in os.walk(root):
        if Path(parent) == root:
            folders[:] = [name for name in folders if name != store.name]
        found |= {ascii(os.path.join(parent, name)) for name in (*folders, *names)}
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
