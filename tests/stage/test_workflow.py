"""workflow: real searches of Olive on a small model; the best one is kept, and loads."""

import json
import os
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import small_models
from lab import Lab
from olive.evaluator.metric import Metric

from olive_contract.failures import FailureClass, StageFailure
from olive_stage.workflow_config import Limit, prepared, thresholds

MODEL = Path("/store/model")
SCRATCH = Path("/store/.scratch/key")


def rtn(group_size: int = 32, **changes: Any) -> dict[str, Any]:
    return {"type": "Rtn", "bits": 4, "sym": True, "group_size": group_size, **changes}


def size(goal: float | None = None) -> dict[str, Any]:
    """An evaluator by which the smallest model is the best, at most ``goal`` bytes large."""
    part: dict[str, Any] = {"name": "bytes", "priority": 1, "higher_is_better": False}
    if goal is not None:
        part["goal"] = {"type": "threshold", "value": goal}
    metric = {"name": "disk", "type": "size_on_disk", "sub_types": [part]}
    return {"evaluators": {"size": {"metrics": [metric]}}, "evaluator": "size"}


SEARCH = {"search_strategy": {"execution_order": "joint", "sampler": "sequential"}}


@pytest.fixture
def model(lab: Lab) -> str:
    small_models.make(lab.sources / "team" / "model", "llama")
    return lab.make("fetch", {"what": "model", "source": "pvc://team/model"})


def run(lab: Lab, model: str, config: dict[str, Any]) -> Any:
    return lab.run("workflow", {"config": config}, model=model)


def test_the_best_of_a_search_is_kept(lab: Lab, model: str) -> None:
    """The smallest has the largest groups; the one that cannot be made does not end the search."""
    choices = [rtn(16), rtn(64), rtn(1000), rtn(32)]
    report = run(lab, model, {**size(), **SEARCH, "passes": {"q": choices}})
    assert report.outcome == "Succeeded", report
    artifact = lab.artifact(report.key)
    assert [made["type"] for made in artifact.about["passes"]] == ["rtn"]
    assert artifact.about["passes"][0]["config"]["group_size"] == 64
    assert artifact.about["quantization"] == "olive"
    assert artifact.metrics["modelsTried"] == 3
    assert 0 < artifact.metrics["disk-bytes"] < lab.artifact(model).size
    assert lab.read(report.key, "config.json")["quantization_config"]["group_size"] == 64
    assert (lab.store.path(report.key) / "tokenizer.json").is_file()


def test_what_is_kept_goes_on_to_fine_tuning_and_export(lab: Lab, model: str) -> None:
    key = lab.make("workflow", {"config": {"passes": {"q": rtn()}}}, model=model)
    export = {"device": "cpu", "provider": "CPUExecutionProvider", "precision": "int4"}
    report = lab.run("export", {**export, "head": "int8"}, model=key)
    assert report.outcome == "Succeeded", report
    assert report.metrics["loraInputs"] > 0


def test_a_graph_for_onnxruntime_genai_is_kept_whole(lab: Lab, model: str) -> None:
    passes = {"q": rtn(), "graph": {"type": "GenAIModelBuilder", "precision": "int4"}}
    report = run(lab, model, {"passes": passes})
    assert report.outcome == "Succeeded", report
    artifact = lab.artifact(report.key)
    assert artifact.about["format"] == "onnxruntime-genai"
    assert [made["type"] for made in artifact.about["passes"]] == ["rtn", "genaimodelbuilder"]
    kept = {file.path for file in artifact.files}
    assert kept >= {"model.onnx", "genai_config.json", "tokenizer.json"}
    assert not kept & {"footprint.json", "run_history.txt", "model_config.json"}


def test_nothing_of_the_run_is_left_behind(lab: Lab, model: str) -> None:
    """No cache that a second run could trust, no changed folder, no changed temporary folder."""
    import tempfile

    before = (os.getcwd(), tempfile.gettempdir(), set(Path.cwd().iterdir()))
    config = {"passes": {"q": rtn()}, "cache_dir": "shared", "output_dir": "kept"}
    assert run(lab, model, config).outcome == "Succeeded"
    assert (os.getcwd(), tempfile.gettempdir(), set(Path.cwd().iterdir())) == before
    assert not list((lab.store.root / ".scratch").glob("*/*"))


GOALS = [
    pytest.param({**size(10), **SEARCH}, [rtn(16), rtn(32)], 2, id="of a search"),
    pytest.param(size(10), rtn(), 1, id="of a single pass"),
]


@pytest.mark.parametrize(("config", "passes", "count"), GOALS)
def test_goals_that_no_model_meets_are_a_failure(
    lab: Lab, model: str, config: dict[str, Any], passes: Any, count: int
) -> None:
    report = run(lab, model, {**config, "passes": {"q": passes}})
    assert report.reason is FailureClass.INVALID_INPUT
    assert f"none of the {count} models that the workflow made meets the goals" in report.message


FAILURES = [
    pytest.param(
        {"q": rtn(100)},
        FailureClass.STAGE_ERROR,
        "AssertionError: in_features 64 must be divisible by group_size 100",
        id="a pass that fails",
    ),
    pytest.param(
        {"q": {"type": "Nope"}}, FailureClass.INVALID_INPUT, "'nope' not found", id="no such pass"
    ),
    pytest.param(
        {"q": rtn(group_size="many")},
        FailureClass.INVALID_INPUT,
        "Olive refuses the workflow: group_size",
        id="a parameter of a wrong type",
    ),
    pytest.param(
        {"q": rtn(sym=False)},
        FailureClass.INVALID_INPUT,
        "quantized asymmetrically, which export cannot read; set sym: true",
        id="a checkpoint that export cannot read",
    ),
]


@pytest.mark.parametrize(("passes", "reason", "says"), FAILURES)
def test_a_run_that_leaves_nothing_of_use_fails_in_words(
    lab: Lab, model: str, passes: dict[str, Any], reason: FailureClass, says: str
) -> None:
    report = run(lab, model, {"passes": passes})
    assert (report.outcome, report.reason) == ("Failed", reason)
    assert says in report.message
    assert not lab.leftovers()


def test_a_search_in_which_every_model_failed_says_why(lab: Lab, model: str) -> None:
    """Olive ends such a search as if all were well."""
    report = run(lab, model, {**size(), **SEARCH, "passes": {"q": [rtn(100), rtn(1000)]}})
    assert (report.outcome, report.reason) == ("Failed", FailureClass.STAGE_ERROR)
    assert "left no model; Olive said: AssertionError: in_features 64 must be" in report.message


REFUSED = [
    pytest.param({"passes": {}}, "workflow has no passes", id="no passes"),
    pytest.param(
        {"data_configs": [{"name": "d", "user_script": "mine.py"}]},
        "workflow.data_configs[0].user_script would run code of its own",
        id="a script of a data set",
    ),
    pytest.param(
        {"evaluators": {"e": {"metrics": [{"user_config": {"evaluate_func": "f"}}]}}},
        "workflow.evaluators.e.metrics[0].user_config.evaluate_func would run code",
        id="a function of an evaluator",
    ),
    pytest.param(
        {"systems": {"far": {"type": "Docker", "config": {}}}},
        "workflow.systems.far is of type 'Docker'; only LocalSystem",
        id="another system",
    ),
    pytest.param(
        {"systems": {"a.b": {"type": "Docker"}}},
        "workflow.systems.a.b is of type 'Docker'; only LocalSystem",
        id="another system with a dot in its name",
    ),
    pytest.param(
        {"engine": {"host": {"type": "PythonEnvironment"}}},
        "workflow.engine.host is of type 'PythonEnvironment'",
        id="another system described in place",
    ),
    pytest.param(
        {"packaging_config": {"type": "AzureMLModels"}},
        "workflow.packaging_config reaches out of the stage's pod",
        id="packaging",
    ),
    pytest.param(
        {"cache_config": {"account_name": "a"}}, "workflow.cache_config reaches", id="shared cache"
    ),
    pytest.param(
        {"data_configs": [{"name": "d", "load_dataset_config": {"data_dir": "/store"}}]},
        "names '/store'; a workflow reads no files",
        id="an absolute path",
    ),
    pytest.param(
        {"data_configs": [{"name": "d", "load_dataset_config": {"data_files": "a/../../b"}}]},
        "names 'a/../../b'",
        id="a path out of its folder",
    ),
    pytest.param(
        {"data_configs": [{"name": "d", "load_dataset_config": {"data_files": "hf://a/b"}}]},
        "names 'hf://a/b'",
        id="a source of its own",
    ),
    pytest.param(
        {"data_configs": [{"name": "d", "load_dataset_config": {"trust_remote_code": True}}]},
        "trust_remote_code needs model.trustRemoteCode",
        id="remote code that the model's owner did not allow",
    ),
    pytest.param(
        {"passes": {"g": {"type": "GenAIModelBuilder", "extra_options": {"hf_remote": True}}}},
        "workflow.passes.g.extra_options.hf_remote needs model.trustRemoteCode",
        id="remote code in the builder",
    ),
    pytest.param(
        {"passes": {"g": {"type": "GenAIModelBuilder", "extra_options": {"hf_token": "t"}}}},
        "workflow.passes.g.extra_options.hf_token reaches out",
        id="a token for the hub",
    ),
    pytest.param(
        {"input_model.more": {"model_path": "/store"}},
        "workflow.input_model.more.model_path names '/store'",
        id="a path in a field named like the input model",
    ),
    pytest.param(
        {"passes": {"q": rtn(cache_dir="/store")}},
        "workflow.passes.q.cache_dir names '/store'",
        id="a folder of a pass",
    ),
]


FORMS = [
    pytest.param({"engine": "x"}, "engine must be an object", id="the engine"),
    pytest.param({"systems": ["x"]}, "systems must be an object", id="the systems"),
    pytest.param({"systems": {"s": "x"}}, "systems.s must be an object", id="a system"),
    pytest.param({"passes": ["x"]}, "passes must be an object", id="the passes"),
    pytest.param({"passes": {"q": "x"}}, "passes.q must be an object or a list", id="a pass"),
    pytest.param({"passes": {"q": ["x"]}}, "passes.q[0] must be an object", id="a pass's choice"),
    pytest.param({"data_configs": {"d": {}}}, "data_configs must be a list", id="data sets"),
    pytest.param({"data_configs": ["d"]}, "data_configs[0] must be an object", id="a data set"),
    pytest.param({"evaluators": ["e"]}, "evaluators must be an object", id="the evaluators"),
    pytest.param({"evaluators": {"e": None}}, "evaluators.e must be", id="an evaluator"),
    pytest.param(
        {"evaluators": {"e": {"metrics": {}}}}, "e.metrics must be a list", id="its metrics"
    ),
    pytest.param(
        {"engine": {"evaluator": {"metrics": ["m"]}}},
        "engine.evaluator.metrics[0] must be an object",
        id="a metric of an evaluator described in place",
    ),
]


def measured_by(**part: Any) -> dict[str, Any]:
    metric = {"name": "disk", "type": "size_on_disk", "sub_types": [part]}
    return {"evaluators": {"e": {"metrics": [metric]}}}


FORMS += [
    pytest.param(measured_by(goal=3), "goal must be an object", id="a goal"),
    pytest.param(
        measured_by(goal={"type": "threshold", "value": "3"}), "value must be a number", id="a text"
    ),
    pytest.param(
        measured_by(higher_is_better="false"), "better must be true or false", id="a direction"
    ),
]


def refusal(config: dict[str, Any]) -> str:
    with pytest.raises(StageFailure) as caught:
        prepared({"passes": {"q": rtn()}, **config}, MODEL, SCRATCH, remote_code=False)
    assert caught.value.failure is FailureClass.INVALID_INPUT
    return str(caught.value)


@pytest.mark.parametrize(("config", "says"), REFUSED)
def test_what_could_reach_further_is_refused(config: dict[str, Any], says: str) -> None:
    assert says in refusal(config)


@pytest.mark.parametrize(("config", "says"), FORMS)
def test_what_is_not_of_the_form_that_olive_reads_is_refused(
    config: dict[str, Any], says: str
) -> None:
    assert says in refusal(config)


def test_input_model_and_folders_are_ours_whatever_it_says() -> None:
    config = {
        "passes": {"q": rtn()},
        "input_model": {"type": "HfModel", "model_path": "microsoft/Phi-3.5-mini-instruct"},
        "output_dir": "/elsewhere",
        "engine": {"cache_dir": "/elsewhere", "search_strategy": False},
    }
    text = json.dumps(config)
    found = prepared(config, MODEL, SCRATCH, remote_code=True)
    assert found["input_model"]["model_path"] == str(MODEL)
    assert found["input_model"]["load_kwargs"] == {"trust_remote_code": True}
    assert found["engine"]["output_dir"] == f"{SCRATCH}/out"
    assert found["engine"]["cache_dir"] == f"{SCRATCH}/cache"
    assert "elsewhere" not in json.dumps(found)
    assert json.dumps(config) == text


def test_absolute_goals_are_found_wherever_they_stand() -> None:
    assert thresholds({"passes": {}, **size(10)}) == (Limit("disk-bytes", 10, False),)
    assert not thresholds({"passes": {}, **size()})


@pytest.mark.parametrize(
    ("kind", "part", "higher_is_better"),
    [
        ("accuracy", {"name": "accuracy_score"}, True),
        ("accuracy", {"name": "wer"}, False),
        ("accuracy", {"name": "perplexity", "higher_is_better": False}, False),
        ("throughput", {"name": "avg"}, True),
        ("latency", {"name": "avg"}, False),
        ("size_on_disk", {"name": "bytes", "higher_is_better": True}, False),
        ("custom", {"name": "mine"}, False),
        ("custom", {"name": "mine", "higher_is_better": True}, True),
    ],
)
def test_a_goals_direction_is_the_one_that_olive_takes(
    kind: str, part: dict[str, Any], higher_is_better: bool
) -> None:
    goal = {"type": "threshold", "value": 1}
    metric = {"name": "m", "type": kind, "sub_types": [{**part, "goal": goal}]}
    found = thresholds({"evaluators": {"e": {"metrics": [metric]}}})
    assert found == (Limit(f"m-{part['name']}", 1, higher_is_better),)
    assert Metric(**deepcopy(metric)).sub_types[0].higher_is_better is higher_is_better


def test_sections_without_content_are_as_if_left_out() -> None:
    config = {"passes": {"q": rtn()}, "engine": None, "systems": None, "evaluators": None}
    assert prepared(config, MODEL, SCRATCH, False) == prepared(
        {"passes": {"q": rtn()}}, MODEL, SCRATCH, False
    )


@pytest.mark.parametrize("trusted", [False, True])
def test_the_hub_and_remote_code_are_not_the_builders_options_to_choose(trusted: bool) -> None:
    from olive_stage.genai_pass import builder_options

    asked = {
        "hf_remote": not trusted,
        " hf_remote ": not trusted,
        "hf_token": "t",
        "fuse_qkv": True,
    }
    options = [option.split("=", 1) for option in builder_options(asked, trusted)]
    taken = {key.strip(): value for key, value in options}  # as the builder does
    assert taken == {"hf_remote": str(trusted).lower(), "hf_token": "false", "fuse_qkv": "true"}


@pytest.mark.parametrize(
    ("limit", "measured", "met"),
    [
        (Limit("speed", 10, True), {"speed": 11}, True),
        (Limit("speed", 10, True), {"speed": 9}, False),
        (Limit("disk", 10, False), {"disk": 9}, True),
        (Limit("disk", 10, False), {"disk": 11}, False),
        (Limit("disk", 10, False), {}, False),
    ],
)
def test_a_limit_is_met_by_a_measurement_only(
    limit: Limit, measured: dict[str, float], met: bool
) -> None:
    assert limit.met(measured) is met
