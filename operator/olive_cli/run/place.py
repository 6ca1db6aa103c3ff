"""Where stages run on this machine: their Python, their environment, and what they are given."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from olive_cli.errors import CliError
from olive_cli.run.manifest import CHECKOUT
from olive_operator.build.pod import SOURCES_PATH

PASSED_ON: Final = re.compile(
    "PATH|HOME|LANG|LC_.*|TZ|TMPDIR|LD_LIBRARY_PATH|(CUDA|NVIDIA|NCCL|PYTORCH|OLIVE)_.*|HF_ENDPOINT"
    "|SSL_CERT_(FILE|DIR)|REQUESTS_CA_BUNDLE|(HTTPS?|NO)_PROXY|(https?|no)_proxy"
)
"""What a stage may see of the environment: the machine's ways, and no tokens, as in a pod."""

AS_USER: Final = re.compile("(AZURE|ARM|MSI|IDENTITY)_.*|HF_TOKEN(_PATH)?|DOCKER_CONFIG")
"""What a stage may see besides that acts for the user: one that publishes, or reads Azure ML."""
LOGINS: Final = {
    "AZURE_CONFIG_DIR": ".azure",
    "DOCKER_CONFIG": ".docker",
    "HF_TOKEN_PATH": ".cache/huggingface/token",
}
"""Where ``az login``, ``docker login`` and ``hf auth login`` leave what they got: below the user's
home, which a stage does not have."""


@dataclass(frozen=True)
class Runtime:
    """The Python with an image's packages; ``path`` is its PYTHONPATH, where it needs one."""

    python: Path
    path: str

    def environment(self, as_user: bool = False) -> dict[str, str]:
        """The environment of a process that has been given nothing yet."""
        found = {name: v for name, v in os.environ.items() if PASSED_ON.fullmatch(name)}
        if as_user:
            logins = {name: Path.home() / below for name, below in LOGINS.items()}
            found |= {name: str(path) for name, path in logins.items() if path.exists()}
            found |= {name: v for name, v in os.environ.items() if AS_USER.fullmatch(name)}
        return {
            **found,
            "PYTHONUNBUFFERED": "1",
            **({"PYTHONPATH": self.path} if self.path else {}),
        }


@dataclass(frozen=True)
class Place:
    """``claims``: folders by claim; ``secrets``: values by secret and key.

    ``folder`` is for this run alone, and gone after it.
    """

    store: Path
    runtime: Runtime
    folder: Path
    claims: Mapping[str, Path]
    secrets: Mapping[str, Mapping[str, str]]

    @property
    def sources(self) -> Path:
        """The folder below which every claim lies under its name, as in a pod."""
        return self.folder / "sources"

    def link_claims(self) -> None:
        """Put the claims there. What a stage reads must still lie in the claim's own folder."""
        self.sources.mkdir()
        for name, target in self.claims.items():
            (self.sources / name).symlink_to(target)

    def given(self, container: Mapping[str, Any], stage: str) -> dict[str, str]:
        """The variables that the stage's container is given by name, from secrets and otherwise.

        CliError if one of its secrets or claims is not here.
        """
        for mount in container["volumeMounts"]:
            head, claim = os.path.split(mount["mountPath"])
            if head == SOURCES_PATH and claim not in self.claims:
                raise CliError(f"{stage} reads from claim {claim}; give --claim {claim}=FOLDER")
        found = {}
        for variable in container.get("env", ()):
            if "valueFrom" not in variable:
                found[variable["name"]] = variable["value"]
                continue
            wanted = variable["valueFrom"]["secretKeyRef"]
            name, key = wanted["name"], wanted["key"]
            if name not in self.secrets:
                raise CliError(
                    f"{stage} needs secret {name}; give --secret {name}=VARIABLE or {name}=FILE"
                )
            if key in self.secrets[name]:
                found[variable["name"]] = self.secrets[name][key]
            elif not wanted.get("optional"):
                raise CliError(
                    f'{stage} needs key "{key}" of secret {name}, which does not have it'
                )
        return found


def runtime(image: str, given: Path | None) -> Runtime:
    """The interpreter as given, or a checkout's own; CliError if it cannot be run."""
    code = CHECKOUT / "images" / image
    python = given or code / ".venv" / "bin" / "python"
    if not os.access(python, os.X_OK):
        wrong = f"{python} cannot be run" if given or code.is_dir() else "this is no checkout"
        raise CliError(
            f"{wrong}; name a Python that has olive_{image} and the packages of "
            f"images/{image}/uv.lock with --{image}-python"
        )
    # Not resolved: a virtual environment is found by its link. Outside of a checkout the Python
    # has the code among its packages, as in the image.
    path = f"{code}:{CHECKOUT / 'operator'}" if code.is_dir() else ""
    return Runtime(python.absolute(), path)


def claims(given: Sequence[tuple[str, str]], own: str, store: Path) -> dict[str, Path]:
    """Folders by claim; ``own``, the store's claim, is the store's folder unless given too."""
    found = {own: store}
    for name, text in given:
        if not Path(text).is_dir():
            raise CliError(f"--claim {name}: {text} is no folder")
        found[name] = Path(text).resolve()
    return found


def secret(name: str, value: str) -> dict[str, str]:
    """The secret's values by key; neither they nor ``value`` are part of any message."""
    if value in os.environ:
        return {"token": os.environ[value]}
    try:
        lines = Path(value).read_text().splitlines()
    except (OSError, ValueError):
        raise CliError(
            f"--secret {name}: there is neither an environment variable nor a file of that name"
        ) from None
    pairs = [line.partition("=") for line in lines if line.strip() and not line.startswith("#")]
    return {key.strip(): text.strip() for key, _, text in pairs}
