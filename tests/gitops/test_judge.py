"""The program runs scripts as Argo CD does: what it would refuse there fails here."""

import json
from typing import Any

import pytest

from .verdicts import ask

WELL = 'return {status = "Healthy"}'


def asked(health: str = WELL, action: str = "return obj", **spec: Any) -> dict[str, Any]:
    """A question about an object with this spec."""
    return {
        "object": {"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": spec},
        "health": health,
        "discovery": "return {}",
        "actions": {"act": action},
    }


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('return {status = os.date("%Y")}', "attempt to index a non-table object(nil)"),
        ('require("os").remove("x")', "attempt to call a non-function object"),
        ('return {status = string.lower("A")}', "attempt to index a non-table object(nil)"),
        ('return io.open("x")', "attempt to index a non-table object(nil)"),
        ("while true do end", "context deadline exceeded"),
        ('return "Healthy"', "it returns no table, but string"),
    ],
    ids=["os without require", "files through os", "strings", "files", "no end", "no table"],
)
def test_script_that_argo_cd_does_not_run_fails(script: str, said: str) -> None:
    done = ask(asked(health=script))
    assert done.returncode == 1
    assert "health.lua: " in done.stderr
    assert said in done.stderr


def test_maps_and_numbers_come_back_from_lua_as_they_were() -> None:
    spec: dict[str, Any] = {
        "serve": {},
        "adapters": [{"lora": {"learningRate": 1e-4, "rank": 8}, "seed": 2147483647}],
        "evaluate": {"gates": []},
        "suspend": False,
    }
    done = ask(asked(action="obj.spec.suspend = true return obj", **spec))
    assert json.loads(done.stdout)["patches"] == {"act": {"spec": {"suspend": True}}}
