"""A manifest's file as a typed spec, defaulted and validated as the API server would."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from olive_cli.errors import CliError
from olive_cli.run import rules, schema
from olive_operator.api.spec import Spec

CRD: Final = "optimizationjobs.olive-operator.io.yaml"
CHECKOUT: Final = Path(__file__).parents[3]
"""The repository's root, if this is a checkout of it and not an installed package."""


@dataclass(frozen=True)
class Job:
    """The one OptimizationJob of a file."""

    name: str
    spec: Spec


class _Loader(yaml.SafeLoader):
    """YAML as kubectl reads it: ``1e-4`` is a number."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"),
    list("-+.0123456789"),
)


def read(path: Path) -> Job:
    """The file's job; CliError with a sentence for every field that is wrong."""
    try:
        bodies = list(yaml.load_all(path.read_text(), _Loader))
    except OSError as error:
        raise CliError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CliError(f"{path} is not YAML: {error}") from None
    group, version, accepts = _kind()
    jobs = [
        body
        for body in bodies
        if isinstance(body, dict)
        and (body.get("apiVersion"), body.get("kind")) == (f"{group}/{version}", "OptimizationJob")
    ]
    if len(jobs) != 1:
        raise CliError(
            f"{path} must hold one OptimizationJob of {group}/{version}; there are {len(jobs)}"
        )
    return _job(jobs[0], accepts, path)


def _job(body: dict[str, Any], accepts: dict[str, Any], path: Path) -> Job:
    name = (body.get("metadata") or {}).get("name")
    if not isinstance(name, str):
        raise CliError(f"{path}: metadata.name: this field is needed")
    spec_schema = accepts["properties"]["spec"]
    spec = schema.defaulted(spec_schema, body.get("spec") or {})
    whole = {"metadata": {"name": name}, "spec": spec}
    wrong = list(schema.mistakes(spec_schema, spec, "spec"))
    wrong = wrong or [text.removeprefix(".") for text in rules.broken(accepts, whole, "")]
    wrong = wrong or list(schema.twice(spec_schema, spec, "spec"))
    if wrong:
        raise CliError("\n  ".join([f"{path} is refused:", *wrong]))
    try:
        return Job(name, Spec.from_body(spec))
    except ValueError as error:
        raise CliError(f"{path} is refused: {error}") from None


def _kind() -> tuple[str, str, dict[str, Any]]:
    """Group, version and schema of the CRD: a wheel carries it beside this file."""
    beside = Path(__file__).with_name(CRD)
    text = (beside if beside.exists() else CHECKOUT / "crds" / CRD).read_text()
    spec = yaml.load(text, yaml.CSafeLoader)["spec"]
    version = spec["versions"][0]
    return spec["group"], version["name"], version["schema"]["openAPIV3Schema"]
