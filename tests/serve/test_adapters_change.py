"""Adapters come, change and go with serving.json, while requests go on."""

import openai
import pytest
import tiny_model
from conftest import Start
from server_process import ServedJob, until


def test_an_adapter_is_added_while_a_stream_runs(job: ServedJob, start: Start) -> None:
    job.serve()
    server = start()
    pid = server.engine_pid()
    with server.long_stream() as stream:
        job.serve(travel="Rome!")
        until(lambda: server.adapter("travel").get("state") == "loaded")
        assert server.complete("travel") == "Rome!"
        assert next(iter(stream)).choices[0].text
    assert server.engine_pid() == pid


def test_a_removed_adapter_is_refused_and_leaves_memory_when_unused(
    job: ServedJob, start: Start
) -> None:
    job.serve(travel="Rome!", french="Oui")
    server = start()
    job.serve(french="Oui")
    until(lambda: not server.adapter("travel"))
    with pytest.raises(openai.NotFoundError):
        server.complete("travel")
    assert server.complete("french") == "Oui"
    until(lambda: server.metric("olive_serve_adapters") == 1)
    job.serve(travel="Rome!")
    until(lambda: server.adapter("travel").get("state") == "loaded")
    assert server.complete("travel") == "Rome!"


def test_a_stream_outlives_the_removal_of_its_adapter(job: ServedJob, start: Start) -> None:
    endless = tiny_model.adapter(job.store, job.base, "ab", endless=True)
    job.serve(endless=endless)
    server = start()
    with server.long_stream("endless") as stream:
        job.serve()
        until(lambda: not server.adapter("endless"))
        assert set("".join(next(iter(stream)).choices[0].text for _ in range(20))) == {"a", "b"}
    until(lambda: server.metric("vllm:num_requests_running") == 0)
    assert server.complete("base", "a") == "bcdefghijklmnopq"


def test_a_replaced_adapter_refuses_no_request_in_between(job: ServedJob, start: Start) -> None:
    job.serve(travel="Rome!")
    server = start()
    job.serve(travel="Oslo?")
    answers = iter(lambda: server.complete("travel"), "Oslo?")
    assert set(answers) <= {"Rome!"}
    assert server.openai.models.retrieve("travel").to_dict()["root"] == job.adapter("Oslo?")


def test_a_replacement_that_fails_leaves_the_old_one_answering(
    job: ServedJob, start: Start
) -> None:
    job.serve(travel="Rome!")
    server = start()
    job.serve(travel="0" * 64)
    until(lambda: server.adapter("travel")["state"] == "failed")
    assert server.adapter("travel")["serving"] == job.adapter("Rome!")
    assert server.complete("travel") == "Rome!"


def test_a_damaged_adapter_is_reported_and_loaded_once_repaired(
    job: ServedJob, start: Start
) -> None:
    file = job.store.path(job.adapter("Rome!")) / "adapter.onnx_adapter"
    good = file.read_bytes()
    file.write_bytes(good[:-1] + b"?")
    job.serve(travel="Rome!", french="Oui")
    server = start()
    assert "adapter.onnx_adapter is not what was written" in server.adapter("travel")["message"]
    assert server.metric("olive_serve_adapter_load_failures_total") >= 1
    assert server.complete("french") == "Oui"
    with pytest.raises(openai.NotFoundError, match="is not loaded"):
        server.complete("travel")
    file.write_bytes(good)
    until(lambda: server.adapter("travel")["state"] == "loaded")
    assert server.complete("travel") == "Rome!"


def test_adapters_that_do_not_fit_are_told_apart_from_the_engines_health(
    job: ServedJob, start: Start
) -> None:
    other = tiny_model.export(job.store, name="other")
    job.serve(
        elsewhere=tiny_model.adapter(job.store, other, "x"),
        shaped=tiny_model.adapter(job.store, job.base, "x", inputs=("lora_A", "lora_B")),
        absent="0" * 64,
        travel="Rome!",
    )
    server = start()
    messages = {n: server.adapter(n)["message"] for n in ("elsewhere", "shaped", "absent")}
    assert f"converted for the base {other}" in messages["elsewhere"]
    assert "does not fit this model" in messages["shaped"]
    assert "not on the volume" in messages["absent"]
    assert server.complete("travel") == "Rome!"
    assert server.metric("olive_serve_engine_restarts_total") == 0


def test_a_broken_file_changes_nothing(job: ServedJob, start: Start) -> None:
    job.serve(travel="Rome!")
    server = start()
    job.mount.write("{")
    job.serve(travel="Rome!", french="Oui")
    until(lambda: server.adapter("french").get("state") == "loaded")
    job.mount.write('{"job": "ml/alphabet", "model": "another", "adapters": []}')
    assert server.complete("travel") == "Rome!"
