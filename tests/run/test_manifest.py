"""A manifest's file, read as the API server would: what is refused, and in which words."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from olive_cli.errors import CliError
from olive_cli.run import manifest, rules
from olive_operator.api.spec import Spec
from run.here import REPOSITORY, adapter, spec

HEAD = {"apiVersion": "olive-operator.io/v1alpha1", "kind": "OptimizationJob"}


def write(folder: Path, what: dict[str, Any], name: Any = "travel") -> Path:
    path = folder / "job.yaml"
    path.write_text(yaml.safe_dump({**HEAD, "metadata": {"name": name}, "spec": what}))
    return path


MISTAKES = {
    "a rule of a field": (
        {"model": {"source": "pvc://tiny/../model"}},
        'spec.model.source: the path may not contain ".."',
    ),
    "a rule of a list's item": (
        spec({"name": "base", "source": "hf://a/b"}, evaluate=None),
        'spec.adapters[0].name: "base" has a meaning of its own here',
    ),
    "a rule of several fields": (
        {"model": {"source": "hf://a/b"}, "quantize": {"algorithm": "gptq"}},
        "spec.quantize: ",
    ),
    "a rule that points at a field": (
        {"model": {"source": "hf://a/b"}, "gpu": {"count": 0, "products": ["NVIDIA-A10"]}},
        "spec.gpu.products: products names GPUs but gpu.count is 0",
    ),
    "two gates for one metric": (
        spec(
            adapter("travel"),
            evaluate={"gates": [{"metric": "f1", "min": 0}, {"metric": "f1", "max": 1}]},
        ),
        'spec.evaluate.gates[1]: Duplicate value: {"metric": "f1"}',
    ),
    "two adapters of one name": (
        spec(adapter("travel"), adapter("travel")),
        "spec.adapters: two adapters have one name",
    ),
    "a quantity": (
        {"model": {"source": "hf://a/b"}, "storage": {"size": "large"}},
        "spec.storage.size: write a quantity above 0",
    ),
    "a request above its limit": (
        {
            "model": {"source": "hf://a/b"},
            "serve": {"resources": {"requests": {"cpu": 2}, "limits": {"cpu": "500m"}}},
        },
        "spec.serve.resources: a request is above its limit",
    ),
    "an unknown field": (
        {"model": {"source": "hf://a/b", "sauce": "x"}},
        "spec.model: unknown field 'sauce'; there are ",
    ),
    "a field that is needed": ({}, "spec.model: this field is needed"),
    "a number out of bounds": (
        spec(adapter("travel", rank=0)),
        "spec.adapters[0].lora.rank: 0 is less than the minimum of 1",
    ),
    "not a number": (
        spec(adapter("travel", learningRate="fast")),
        "spec.adapters[0].lora.learningRate: 'fast' is not of type 'number'",
    ),
    "none of the choices": (
        {"model": {"source": "hf://a/b"}, "quantize": {"groupSize": 33}},
        "spec.quantize.groupSize: 33 is not one of [16, 32, 64, 128, 256]",
    ),
}


@pytest.mark.parametrize(("what", "says"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_told_with_its_field(tmp_path: Path, what: dict[str, Any], says: str) -> None:
    with pytest.raises(CliError) as refused:
        manifest.read(write(tmp_path, what))
    assert says in str(refused.value)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    wrong = spec(adapter("travel", rank=0, batchSize=0), quantize={"groupSize": 33})
    with pytest.raises(CliError) as refused:
        manifest.read(write(tmp_path, wrong))
    assert len(str(refused.value).splitlines()) == 1 + 3


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: Job\n", "must hold one OptimizationJob of olive-operator.io/v1alpha1; there are 0"),
        ("a: [", "is not YAML"),
        (yaml.safe_dump(HEAD), "metadata.name: this field is needed"),
    ],
)
def test_a_file_that_holds_no_job(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "job.yaml"
    path.write_text(text)
    with pytest.raises(CliError, match=says):
        manifest.read(path)


def test_a_name_that_no_service_can_have(tmp_path: Path) -> None:
    with pytest.raises(CliError, match=r"metadata\.name: the Service is named after it"):
        manifest.read(write(tmp_path, spec(), name="Travel"))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="cannot be read: No such file"):
        manifest.read(tmp_path / "job.yaml")


def test_defaults_are_those_of_the_operator(tmp_path: Path) -> None:
    """Section by section: an empty one takes the CRD's defaults, which are the typed spec's."""
    model = {"source": "hf://a/b"}
    bare = {"model": model, "adapters": [{"name": "a", "data": adapter("a")["data"], "lora": {}}]}
    sections: dict[str, Any] = {"quantize": {}, "evaluate": {}, "serve": {}}
    read = manifest.read(write(tmp_path, {**bare, **sections})).spec
    assert read == Spec.from_body({**bare, **sections})
    assert read.export == Spec.from_body(bare).export
    assert manifest.read(write(tmp_path, bare)).spec.quantize is None


def test_a_section_without_a_value_is_left_out(tmp_path: Path) -> None:
    found = manifest.read(write(tmp_path, {"model": {"source": "hf://a/b"}, "quantize": None}))
    assert found.spec.quantize is None


def test_numbers_are_read_as_kubectl_reads_them(tmp_path: Path) -> None:
    path = write(tmp_path, spec(adapter("travel", learningRate=0.5)))
    path.write_text(path.read_text().replace("learningRate: 0.5", "learningRate: 1e-4"))
    [found] = manifest.read(path).spec.adapters
    assert found.lora
    assert found.lora.learningRate == 0.0001


EXAMPLES = sorted((REPOSITORY / "examples").glob("*.yaml"))


@pytest.mark.parametrize("path", EXAMPLES, ids=[path.name for path in EXAMPLES])
def test_every_example_is_accepted(path: Path) -> None:
    names = [
        body["metadata"]["name"]
        for body in yaml.safe_load_all(path.read_text())
        if body["kind"] == "OptimizationJob"
    ]
    assert [manifest.read(path).name] == names


def test_every_rule_of_the_crd_can_be_read() -> None:
    """One with a function that is not known here would refuse every manifest that it concerns."""
    crd = yaml.safe_load((REPOSITORY / "crds" / manifest.CRD).read_text())
    found = list(all_rules(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]))
    assert found
    for rule in found:
        rules.environment().compile(rule)


def all_rules(schema: Any) -> Any:
    if isinstance(schema, dict):
        for rule in schema.get("x-kubernetes-validations", ()):
            yield from (rule[name] for name in ("rule", "messageExpression") if name in rule)
        for part in schema.values():
            yield from all_rules(part)
    if isinstance(schema, list):
        for part in schema:
            yield from all_rules(part)
