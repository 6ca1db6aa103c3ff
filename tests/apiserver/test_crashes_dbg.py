"""The operator dies at every transition, and nothing is lost or done twice.

Operators of few effects each: whatever is done, some operator has died right after it, with the API
server's answer heard or not.
"""

import asyncio
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from builders import adapter, spec

from olive_contract.serial import decode
from olive_operator.config import Config

from .mortal import lives
from .operators import CONFIG, Jobs, Operator
from .standin_node import StandInNode, eventually
from .test_operator import DONE, STAGES, plain

EDITED = {f"{kind}/travel" for kind in ("check", "finetune", "adapter", "evaluate")}
"""What another rank has made again; adapter and evaluate had not begun before the edit."""


def tell(jobs: Jobs, node: StandInNode) -> None:
    """A job is made and served, edited while a stage runs, and served no more."""
    release = node.hold("finetune/travel")
    jobs.create("travel", spec())
    eventually("finetune started", lambda: "finetune/travel" in node.ran, 40)
    jobs.edit("travel", spec(adapters=[adapter("travel", rank=4)]))
    release.set()
    eventually("every stage done", lambda: jobs.status("travel").get("progress") == DONE, 120)
    eventually("the Deployment", lambda: deployments(jobs) == ["travel-serving"], 120)
    jobs.edit("travel", plain(adapters=[adapter("travel", rank=4)]))
    eventually("Ready", lambda: jobs.is_("travel", "Ready"), 120)
    eventually("no Deployment", lambda: deployments(jobs) == [], 120)


def deployments(jobs: Jobs) -> list[str]:
    found = jobs.apps.list_namespaced_deployment(jobs.namespace).items
    return [d.metadata.name for d in found if not d.metadata.deletion_timestamp]


def steps_of(jobs: Jobs) -> dict[str, Any]:
    return {s["name"]: s for s in jobs.status("travel")["stages"]}


@pytest.mark.parametrize(
    ("effects", "heard"),
    [(1, True), (1, False), (2, False), (3, True)],
    ids=["one, heard", "one, not heard", "two, the last not heard", "three, heard"],
)
async def test_operators_of_few_effects_do_all_of_it_once(
    effects: int, heard: bool, apiserver: Path, jobs: Jobs, node: StandInNode
) -> None:
    config = decode(Config, {k: v for k, v in CONFIG.items() if k != "lease"})
    async with lives(apiserver, jobs.namespace, config, effects, heard) as last:
        try:
            await asyncio.to_thread(tell, jobs, node)
        except AssertionError:
            import json; print(last, json.dumps(jobs.get('travel').get('status'),indent=1), node.ran, jobs.attempts(), jobs.pods()); raise
    ran = Counter(node.ran)
    assert set(ran) == STAGES
    again = {stage for stage, count in ran.items() if count > 1}
    assert again == {"check/travel", "finetune/travel"}
    assert max(ran.values()) == 2
    assert all(s["attempt"] == 1 and not s.get("failures") for s in steps_of(jobs).values())
    made = Counter(a["spec"]["stage"] for a in jobs.artifacts())
    assert made == Counter(STAGES) + Counter(["check/travel"]), "what was made before the edit"
    assert {"create Artifact", "write the status", "create Job", "delete Job"} <= set(last), last
