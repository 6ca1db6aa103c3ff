"""What a build has to know of this machine and an image must not: its CA and its indexes."""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

CA_VARIABLES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
INDEX_VARIABLES = (
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
)
_INSIDE = "/run/secrets/ca"


def ca_bundle(environment: Mapping[str, str]) -> Path | None:
    """The machine's own CA bundle, where it says that it has one."""
    paths = (Path(environment[name]) for name in CA_VARIABLES if environment.get(name))
    return next((path for path in paths if path.is_file()), None)


def script(environment: Mapping[str, str]) -> str:
    """The shell lines that a build reads before it goes to the network."""
    values = {name: environment[name] for name in INDEX_VARIABLES if environment.get(name)}
    if ca_bundle(environment):
        values |= {"SSL_CERT_FILE": _INSIDE, "PIP_CERT": _INSIDE}
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items())


@contextmanager
def build_secrets() -> Iterator[list[str]]:
    """The --secret options of a build, as docker and buildah both take them."""
    with TemporaryDirectory() as folder:
        lines = Path(folder) / "env"
        lines.write_text(script(os.environ))
        options = ["--secret", f"id=env,src={lines}"]
        ca = ca_bundle(os.environ)
        yield [*options, "--secret", f"id=ca,src={ca}"] if ca else options
