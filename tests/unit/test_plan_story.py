"""The plan as stories: what a person does, what the cluster does, and what comes of it."""

from dataclasses import replace

import pytest
from builders import CONFIG, World, adapter

from olive_contract.failures import FailureClass
from olive_operator.plan import plan

BASE = ("fetch/model", "quantize", "export")
CALIBRATION = {"source": "pvc://data/calibration.jsonl", "template": "{text}"}


def own(name: str) -> tuple[str, ...]:
    """The stages of one adapter, in an order in which they can be done."""
    kinds = ("fetch", "check", "finetune", "adapter", "reference", "evaluate")
    return tuple(f"{kind}/{name}" for kind in kinds)


ALL = (*BASE, *own("travel"))


def done(**sections: object) -> World:
    """A job that has gone through every stage, and is served if that was asked for."""
    world = World(**sections).settle()
    world.finish(*(stage for stage in ALL if stage in world.states))
    return world.roll_out() if world.served() else world


def test_first_pass_makes_the_claim_and_starts_only_what_needs_no_input() -> None:
    world = World().settle()
    assert world.started == ["fetch/model", "fetch/travel"]
    assert "PersistentVolumeClaim/olive-store" in world.manifests
    assert world.stage("quantize").message == "waits for fetch/model"
    assert world.condition("Reconciling") == ("True", "PodNotCreated")


def test_export_and_finetune_run_beside_each_other() -> None:
    world = World().settle().finish("fetch/model", "fetch/travel", "check/travel", "quantize")
    assert world.started[-2:] == ["export", "finetune/travel"]


def test_no_gpu_is_asked_for_before_the_check_on_a_cpu_has_passed() -> None:
    world = World().settle().finish("fetch/model", "fetch/travel", "quantize", "export")
    assert world.stage("finetune/travel").message == "waits for check/travel"
    world.finish("reference/travel").fail("check/travel", FailureClass.INVALID_INPUT)
    assert "finetune/travel" not in world.started
    assert world.condition("Stalled") == ("True", "InvalidInput")
    assert world.status.gpuSeconds == 0


def test_what_runs_already_goes_on_when_a_check_is_put_before_it() -> None:
    world = World(gpu={"count": 0}).settle().finish("fetch/model", "fetch/travel", "quantize")
    world.run("finetune/travel").edit(gpu={"count": 1})
    assert world.stage("finetune/travel").state == "Running"
    world.fail("check/travel", FailureClass.INVALID_INPUT).finish("finetune/travel")
    assert world.stage("finetune/travel").state == "Succeeded", "what was made counts"


def test_check_of_a_corrected_job_lets_the_stage_on_the_gpu_begin() -> None:
    world = World().settle().finish("fetch/model", "fetch/travel", "quantize", "export")
    world.finish("reference/travel").fail("check/travel", FailureClass.INVALID_INPUT)
    world.edit(adapters=[adapter("travel", maxLength=64)]).finish("check/travel")
    assert world.started[-1] == "finetune/travel"


def test_without_gpus_there_is_nothing_to_check_beforehand() -> None:
    world = World(gpu={"count": 0}).settle()
    assert [name for name in world.states if name.startswith("check/")] == []


def test_quantizing_with_data_is_checked_before_it_takes_a_gpu() -> None:
    world = World(quantize={"algorithm": "awq", "calibration": CALIBRATION}).settle()
    world.finish("fetch/model", "fetch/calibration")
    assert "quantize" not in world.started
    world.finish("check/quantize").finish("quantize", seconds=90)
    assert world.stage("quantize").gpuSeconds == 90


def test_workflow_stands_in_the_place_of_quantize() -> None:
    config = {"passes": {"round": {"type": "Rtn"}}}
    world = World(quantize=None, workflow=config).settle()
    world.finish("fetch/model", "fetch/travel", "check/travel", "reference/travel")
    assert world.stage("export").message == world.stage("finetune/travel").message
    assert world.stage("export").message == "waits for workflow"
    world.finish("workflow", "export", "finetune/travel", "adapter/travel", "evaluate/travel")
    assert world.roll_out().condition("Ready") == ("True", "Serving")
    assert "quantize" not in world.states
    before = len(world.started)
    world.edit(quantize=None, workflow={"passes": {"round": {"type": "Rtn", "bits": 8}}})
    assert world.started[before:] == ["workflow"]


def test_evaluation_of_the_base_by_its_own_rows_needs_no_adapter() -> None:
    data = {"source": "pvc://data/rows.jsonl", "template": "{text}"}
    world = World(adapters=[], evaluate={"data": data}).settle()
    world.finish(*BASE, "fetch/base", "reference/base", "evaluate/base")
    assert sorted(world.started) == sorted([*BASE, "fetch/base", "reference/base", "evaluate/base"])
    assert world.roll_out().condition("Ready") == ("True", "Serving")


@pytest.mark.parametrize(
    "sections",
    [{"quantize": None}, {"evaluate": {"reference": False}}],
    ids=["nothing changes the model", "it is not wanted"],
)
def test_original_is_not_measured_where(sections: dict[str, object]) -> None:
    world = World(**sections).settle()
    assert "reference/travel" not in world.states
    assert "evaluate/travel" in world.states


def test_export_for_a_gpu_ends_with_its_artifacts() -> None:
    cuda = {"device": "gpu", "provider": "CUDAExecutionProvider"}
    world = World(export=cuda, serve=None).settle().finish(*ALL)
    assert world.condition("Ready") == ("True", "Completed")


def test_whole_job_runs_every_stage_once_and_is_ready_when_it_is_served() -> None:
    world = World().settle().finish(*ALL)
    assert sorted(world.started) == sorted(ALL)
    assert world.condition("Ready") == ("False", "ServingStarting")
    world.roll_out()
    assert world.condition("Ready") == ("True", "Serving")
    assert world.condition("Reconciling")[0] == world.condition("Stalled")[0] == "False"
    assert world.status.phase == "Ready"
    assert world.status.progress == "9/9"
    assert world.status.serving is not None
    assert world.status.serving.url == "http://travel-serving.ml.svc/v1"


def test_job_without_serve_is_ready_with_its_artifacts() -> None:
    world = World(serve=None).settle().finish(*ALL)
    assert world.condition("Ready") == ("True", "Completed")
    assert world.served() is None


def test_second_adapter_runs_only_its_own_stages_and_joins_the_same_pods() -> None:
    world = done()
    before, model = len(world.started), world.manifests["Deployment/travel-serving"]
    world.edit(adapters=[adapter("travel"), adapter("food")])
    world.finish(*own("food"))
    assert sorted(world.started[before:]) == sorted(own("food"))
    assert world.manifests["Deployment/travel-serving"] == model
    served = world.served()
    assert served is not None
    assert [a["name"] for a in served["adapters"]] == ["travel", "food"]
    assert world.condition("Ready") == ("False", "ServingStarting")
    assert world.roll_out().condition("Ready") == ("True", "Serving")


def test_while_a_second_adapter_is_made_the_first_stays_served() -> None:
    world = done().edit(adapters=[adapter("travel"), adapter("food")])
    served = world.served()
    assert served is not None
    assert [a["name"] for a in served["adapters"]] == ["travel"]


def test_retrained_adapter_replaces_its_predecessor_only_when_it_is_measured() -> None:
    world = done()
    old = world.served()
    world.edit(adapters=[adapter("travel", rank=4)])
    world.finish("check/travel", "finetune/travel", "adapter/travel")
    assert world.served() == old
    world.finish("evaluate/travel")
    assert world.served() != old


def test_changing_one_line_runs_what_is_below_it_and_changing_it_back_runs_nothing() -> None:
    world = done()
    before = len(world.started)
    world.edit(adapters=[adapter("travel", rank=4)])
    below = ["check/travel", "finetune/travel", "adapter/travel", "evaluate/travel"]
    assert world.finish(*below).started[before:] == below
    before = len(world.started)
    world.edit()
    assert world.started[before:] == []
    assert world.stage("finetune/travel").cached


def test_changing_the_source_back_runs_nothing_either() -> None:
    world = done(serve=None, evaluate=None)
    before = len(world.started)
    world.edit(serve=None, evaluate=None, model={"source": "pvc://models/other"})
    assert world.started[before:] == ["fetch/model"]
    world.edit(serve=None, evaluate=None)
    assert world.started[before:] == ["fetch/model"]
    assert world.condition("Ready") == ("True", "Completed")


def test_another_base_takes_over_only_when_every_stage_is_done() -> None:
    world = done()
    old = world.served()
    world.edit(model={"source": "pvc://models/other"})
    *others, last = [stage for stage in ALL if stage != "fetch/travel"]
    assert world.finish(*others).served() == old
    world.finish(last)
    new = world.served()
    assert new is not None
    assert new != old
    configs = [name for name in world.manifests if name.startswith("ConfigMap/")]
    assert len(configs) == 2, "pods of the old model keep their own file until they are gone"
    world.roll_out()
    assert len([name for name in world.manifests if name.startswith("ConfigMap/")]) == 1


def test_edit_cancels_the_attempts_that_became_useless() -> None:
    world = World().settle().finish("fetch/model", "fetch/travel", "quantize", "check/travel")
    world.run("finetune/travel")
    old = world.attempt("finetune/travel").name
    world.edit(adapters=[adapter("travel", rank=4)]).finish("check/travel")
    assert old not in [a.name for a in world.seen.attempts]
    assert world.attempt("finetune/travel").number == 1
    assert "export" in [a.stage for a in world.seen.attempts]


def test_job_is_not_ready_before_its_serving_has_followed_an_edit() -> None:
    world = done()
    assert world.condition("Ready") == ("True", "Serving")
    world.edit_unseen(serve={"replicas": 2})
    first = plan(world.seen, CONFIG, world.now)
    assert first.apply
    ready = first.status.condition("Ready")
    assert ready is not None
    assert (ready.status, ready.observedGeneration) == ("False", 2)
    assert world.settle().condition("Ready") == ("False", "ServingStarting"), "not observed yet"
    assert world.roll_out().condition("Ready") == ("True", "Serving")


def test_removing_serve_takes_its_children_away() -> None:
    world = done().edit(serve=None)
    assert [n for n in world.manifests if "serving" in n] == []


def test_removing_an_adapter_takes_it_out_of_the_serving() -> None:
    world = done(adapters=[adapter("travel")])
    world.edit(adapters=[], evaluate=None)
    served = world.served()
    assert served is not None
    assert served["adapters"] == []


def test_content_that_is_the_same_under_another_name_is_done_only_once() -> None:
    world = World()
    world.contents = {"pvc://models/tiny": "same", "pvc://models/copy": "same"}
    world.settle().finish(*ALL)
    before = len(world.started)
    world.edit(model={"source": "pvc://models/copy"}).finish("fetch/model", cached=True)
    assert world.started[before:] == ["fetch/model"]


def test_failure_that_counts_is_tried_again_later_each_time_and_then_no_more() -> None:
    world = World().settle().fail("fetch/model", FailureClass.STAGE_ERROR)
    assert (world.stage("fetch/model").attempt, world.stage("fetch/model").failures) == (1, 1)
    assert 8 <= world.until_retry("fetch/model") <= 12
    assert world.attempt("fetch/model").number == 2
    world.fail("fetch/model", FailureClass.STAGE_ERROR)
    assert 16 <= world.until_retry("fetch/model") <= 24
    assert world.attempt("fetch/model").number == 3
    world.finish("fetch/travel").fail("fetch/model", FailureClass.STAGE_ERROR)
    assert world.wait(1000).stage("fetch/model").state == "Failed"
    assert world.condition("Stalled") == ("True", "StageError")
    assert world.status.phase == "Failed"
    assert world.last is not None
    assert world.last.again is None


@pytest.mark.parametrize(
    "failure",
    [FailureClass.INVALID_INPUT, FailureClass.SOURCE_NOT_FOUND, FailureClass.AUTH_DENIED],
)
def test_what_cannot_come_right_by_itself_is_not_tried_again(failure: FailureClass) -> None:
    world = World().settle().finish("fetch/travel").fail("fetch/model", failure)
    assert world.stage("fetch/model").state == "Failed"
    assert world.condition("Stalled") == ("True", failure.value)
    message = world.status.conditions[2].message
    assert message.startswith("fetch/model: it broke (correct")


def test_failed_stage_is_due_again_when_the_retry_annotation_changes() -> None:
    world = World().settle().finish("fetch/travel")
    world.fail("fetch/model", FailureClass.SOURCE_NOT_FOUND).annotate_retry("1")
    assert world.attempt("fetch/model").number == 2
    world.fail("fetch/model", FailureClass.SOURCE_NOT_FOUND)
    assert world.stage("fetch/model").state == "Failed"
    world.annotate_retry("1")
    assert world.attempt("fetch/model").number == 2, "the same value is acted upon once"
    assert world.annotate_retry("2").attempt("fetch/model").number == 3


def test_deleted_pod_is_done_again_once_and_does_not_count() -> None:
    world = World().settle().run("fetch/model").delete_pod("fetch/model")
    assert world.attempt("fetch/model").number == 2
    assert world.stage("fetch/model").failures == 0
    assert world.started.count("fetch/model") == 2
    assert any("Evicted" in told for told in world.told)


def test_deleting_a_child_resets_no_count() -> None:
    world = World().settle().fail("fetch/model", FailureClass.STAGE_ERROR).wait(12)
    world.delete_job("fetch/model")
    assert world.attempt("fetch/model").number == 2
    assert world.stage("fetch/model").failures == 1


def test_children_of_a_finished_job_may_be_deleted() -> None:
    world = done()
    before = len(world.started)
    for stage in ALL:
        world.delete_job(stage)
    assert world.started[before:] == []
    assert world.condition("Ready") == ("True", "Serving")


def test_lost_artifact_is_made_again_and_the_reader_goes_on() -> None:
    world = World().settle().finish(*BASE, "fetch/travel", "check/travel", "reference/travel")
    key = world.stage("quantize").key
    world.fail("finetune/travel", FailureClass.INPUT_MISSING, missing=key)
    assert world.stage("quantize").state == "Pending"
    world.finish("quantize").wait(10)
    world.finish("finetune/travel", "adapter/travel", "evaluate/travel")
    assert world.roll_out().condition("Ready") == ("True", "Serving")


def test_artifact_that_is_lost_again_and_again_ends_the_job() -> None:
    world = World().settle().finish(*BASE, "fetch/travel", "check/travel", "reference/travel")
    for _ in range(3):
        key = world.stage("quantize").key
        world.fail("finetune/travel", FailureClass.INPUT_MISSING, missing=key)
        world.finish("quantize").wait(100)
    assert world.stage("finetune/travel").state == "Failed"


def test_one_adapters_failure_leaves_the_others_to_be_served() -> None:
    world = World(adapters=[adapter("travel"), adapter("food")]).settle()
    world.finish(*BASE, *own("travel"))
    assert world.served() is None
    world.fail("fetch/food", FailureClass.INVALID_INPUT)
    served = world.served()
    assert served is not None
    assert [a["name"] for a in served["adapters"]] == ["travel"]
    assert world.condition("Ready") == ("False", "InvalidInput")


def test_pod_that_ends_before_its_job_does_is_waited_for() -> None:
    world = World().settle().run("fetch/model")
    ended = replace(world.attempt("fetch/model"), outcome="Complete")
    others = [a for a in world.seen.attempts if a.name != ended.name]
    world.seen = replace(world.seen, attempts=(ended, *others))
    assert world.settle().stage("fetch/model").state == "Running"


def test_gpu_seconds_are_those_of_every_attempt_on_a_gpu() -> None:
    world = World(gpu={"count": 2}).settle()
    world.finish("fetch/model", "fetch/travel", "quantize", "check/travel")
    world.fail("finetune/travel", FailureClass.GPU_FAULT, seconds=5).wait(10)
    world.finish("export").finish("finetune/travel", seconds=30)
    assert world.stage("finetune/travel").gpuSeconds == 70
    assert world.stage("quantize").gpuSeconds == 0, "rounding to nearest holds no GPU"
    assert world.status.gpuSeconds == 70
    world.edit(gpu={"count": 2}, adapters=[], evaluate=None)
    assert world.status.gpuSeconds == 70, "what was spent stays spent"


def test_events_tell_what_failed_and_what_has_come_of_it_and_not_every_stage() -> None:
    world = World().settle()
    world.fail("fetch/model", FailureClass.STAGE_ERROR).wait(60)
    world.finish(*ALL).roll_out()
    assert world.told == [
        "Warning StageError fetch/model: StageError: it broke",
        "Normal Serving the model and its adapters are being served",
    ]


def test_another_claim_starts_afresh_and_what_was_served_stays_where_it_is() -> None:
    world = done()
    before, deployment = len(world.started), world.manifests["Deployment/travel-serving"]
    world.edit(storage={"claim": "other"})
    assert world.started[before:] == ["fetch/model", "fetch/travel"]
    assert world.manifests["Deployment/travel-serving"] == deployment
    assert {r.claim for r in world.records} == {"olive-store"}
    world.finish(*ALL)
    volumes = world.manifests["Deployment/travel-serving"]["spec"]["template"]["spec"]["volumes"]
    assert volumes[0]["persistentVolumeClaim"] == {"claimName": "other"}


def test_attempt_that_waits_for_what_the_spec_no_longer_asks_is_made_anew() -> None:
    world = World(gpu={"products": ["A10x"]}).settle()
    world.finish("fetch/model", "fetch/travel", "quantize", "check/travel")
    world.pod("finetune/travel", unschedulable="didn't match Pod's node affinity")
    assert world.stage("finetune/travel").reason == "NoSuchGPU"
    world.edit(gpu={"products": ["NVIDIA-A10"]})
    pod = world.manifests[f"Job/{world.attempt('finetune/travel').name}"]["spec"]["template"]
    assert "A10x" not in str(pod)
    assert world.stage("finetune/travel").failures == 0


def test_attempt_that_runs_is_left_alone_by_an_edit_of_the_gpu() -> None:
    world = World(gpu={"count": 1}).settle()
    world.finish("fetch/model", "fetch/travel", "quantize", "check/travel")
    world.run("finetune/travel")
    before = len(world.started)
    world.edit(gpu={"count": 2})
    assert world.started[before:] == []


def test_base_whose_adapters_fail_does_not_replace_a_serving_that_works() -> None:
    world = done()
    old = world.served()
    world.edit(model={"source": "pvc://models/other"})
    world.finish(*BASE, "check/travel", "reference/travel")
    world.fail("finetune/travel", FailureClass.INVALID_INPUT)
    assert world.condition("Stalled") == ("True", "InvalidInput")
    assert world.served() == old


def test_record_that_somebody_deletes_has_the_next_pass_look_on_the_volume() -> None:
    world = done()
    before = len(world.started)
    key = world.stage("export").key
    world.records = [r for r in world.records if r.key != key]
    world.settle()
    assert world.started[before:] == ["export"]
    assert world.attempt("export").number == 2
    assert world.finish("export", cached=True).condition("Ready") == ("True", "Serving")


def test_adapters_to_the_limit_come_to_rest() -> None:
    world = World(adapters=[adapter(f"a{n}") for n in range(64)]).settle()
    world.finish("fetch/model", *(f"fetch/a{n}" for n in range(64)))
    assert world.settle().stage("fetch/model").state == "Succeeded"


def test_many_long_failures_fit_the_status() -> None:
    world = World(adapters=[adapter(f"a{n}") for n in range(20)]).settle()
    world.finish("fetch/model", "quantize", "export")
    for n in range(20):
        world.fail(f"fetch/a{n}", FailureClass.INVALID_INPUT, message="x" * 4000)
    assert all(len(c.message) < 5000 for c in world.status.conditions)
    assert all(len(s.message) < 1100 for s in world.status.stages)


def test_retrying_counts_no_gpu_seconds_again() -> None:
    world = World(gpu={"count": 1}).settle()
    world.finish("fetch/model", "fetch/travel", "quantize", "check/travel")
    world.fail("finetune/travel", FailureClass.GPU_FAULT, seconds=10).wait(12)
    world.finish("finetune/travel", seconds=90).fail("export", FailureClass.INVALID_INPUT)
    spent = world.status.gpuSeconds
    assert spent == 100
    assert world.annotate_retry("1").status.gpuSeconds == spent


def test_node_that_evicts_again_and_again_is_given_time() -> None:
    world = World().settle().run("fetch/model").delete_pod("fetch/model")
    world.run("fetch/model").delete_pod("fetch/model")
    assert world.attempt("fetch/model").number == 2
    assert world.wait(12).attempt("fetch/model").number == 3


def test_size_may_be_a_number_and_a_measured_zero_is_kept() -> None:
    world = World(storage={"size": 107374182400}).settle()
    claim = world.manifests["PersistentVolumeClaim/olive-store"]
    assert claim["spec"]["resources"]["requests"]["storage"] == 107374182400
    world.finish("fetch/model", metrics={"exactMatch": 0.0, "odd": float("nan")})
    assert world.stage("fetch/model").metrics == {"exactMatch": 0.0}
