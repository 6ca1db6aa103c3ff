"""Requests to the API server, by the official client: whole objects, lists, and logs."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import urllib3
from kubernetes.client.exceptions import ApiException

from olive_cli.cluster.follow import Gone, Unreachable
from olive_cli.cluster.refusals import Asked, Resource, is_object, meaning, no_such_kind, unanswered
from olive_cli.errors import NoClusterError, RefusedError
from olive_cli.job.view import Body
from olive_operator.labels import API_VERSION, GROUP

OLIVE: Final = f"/apis/{API_VERSION}"
JOBS: Final = Resource(OLIVE, "optimizationjobs")
ARTIFACTS: Final = Resource(OLIVE, "artifacts")
BATCH_JOBS: Final = Resource("/apis/batch/v1", "jobs")
PODS: Final = Resource("/api/v1", "pods")
LOGS: Final = Resource("/api/v1", "pods/log")
EVENTS: Final = Resource("/api/v1", "events")
CONFIG_MAPS: Final = Resource("/api/v1", "configmaps")

PATIENCE: Final = 20.0
"""Seconds that an answer may take."""
PAGE: Final = 500
"""Objects of a list that are asked for at once."""


@dataclass(frozen=True)
class ApiServer:
    """``client`` is the official ApiClient, with the person's credentials."""

    client: Any
    patience: float = PATIENCE

    def get(self, what: Resource, namespace: str, name: str) -> Body | None:
        """The object, or None if it does not exist."""
        asked = Asked("get", what, namespace)
        text, status = self._text(_path(what, namespace, name), {}, asked)
        return None if status == 404 else self._object(text)

    def list(self, what: Resource, namespace: str | None, **query: str) -> list[Body]:
        """All objects of a namespace, or of all of them, that the query selects."""
        asked, found = Asked("list", what, namespace), list[Body]()
        page_of = {"limit": str(PAGE)}
        while True:
            try:
                text, status = self._text(_path(what, namespace), {**query, **page_of}, asked)
            except Gone:  # the list was too long under way: at once, from its beginning
                if not page_of:
                    raise Unreachable("it has forgotten the list") from None
                found, page_of = [], {}
                continue
            if status == 404:
                raise self._unknown(what, asked)
            page = self._object(text)
            found += page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return found
            page_of = {"limit": str(PAGE), "continue": token}

    def log(self, namespace: str, pod: str, follow: bool) -> Iterator[str]:
        """The lines of a pod's log; ``follow``: also those to come. AbsentError without the pod."""
        query, asked = {"follow": "true"} if follow else {}, Asked("get", LOGS, namespace)
        response = self._request(_path(PODS, namespace, pod) + "/log", query, (PATIENCE, None))
        if response.status != 200:
            raise meaning(response.status, response.reason, _read(response), asked)
        rest = b""
        try:
            for chunk in response.response.stream(amt=None, decode_content=False):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (line.decode(errors="replace") for line in lines)
        except urllib3.exceptions.HTTPError as error:
            raise self._unanswered(error) from None
        if rest:
            yield rest.decode(errors="replace")

    def _unknown(self, what: Resource, asked: Asked) -> Exception:
        """Why a whole kind is not there."""
        if what.base != OLIVE:
            return meaning(404, "", "", asked)
        response = self._request(f"/apis/{GROUP}", {}, self.patience)
        text = _read(response)
        group = self._object(text) if response.status == 200 else {}
        return no_such_kind([str(v["version"]) for v in group.get("versions") or []])

    def _object(self, text: str) -> dict[str, Any]:
        try:
            found = json.loads(text)
        except RecursionError:  # the API server takes what is nested more deeply than Python does
            raise RefusedError("an object is nested too deeply to be read") from None
        except ValueError:
            found = None
        if not isinstance(found, dict):  # the page of a login, say
            host = self.client.configuration.host
            raise NoClusterError(f"what answers at {host} is not an API server; is it a proxy?")
        return found

    def _text(self, path: str, query: Mapping[str, str], asked: Asked) -> tuple[str, int]:
        """The answer and its status: 200, or 404 of an object or a kind that is not there."""
        response = self._request(path, query, self.patience)
        text, status = _read(response), int(response.status)
        if status == 200:
            return text, status
        if status == 404:
            if asked.verb == "get" and not is_object(text):
                raise self._unknown(asked.what, asked)
            return text, status
        raise meaning(status, str(response.reason), text, asked)

    def _request(self, path: str, query: Mapping[str, str], timeout: Any) -> Any:
        method, url, headers, *_ = self.client.param_serialize(
            method="GET",
            resource_path=path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json, */*"},
            auth_settings=["BearerToken"],
        )
        try:
            return self.client.call_api(method, url, headers, _request_timeout=timeout)
        except ApiException as error:  # TLS: there is no answer to speak of
            raise meaning(0, str(error.reason), "", Asked("get", JOBS, None)) from None
        except urllib3.exceptions.HTTPError as error:
            raise self._unanswered(error) from None

    def _unanswered(self, error: urllib3.exceptions.HTTPError) -> Exception:
        return unanswered(error, self.client.configuration.host)


def _read(response: Any) -> str:
    return (response.read() or b"").decode(errors="replace")


def _path(what: Resource, namespace: str | None, name: str | None = None) -> str:
    parts = [what.base]
    parts += ["namespaces", quote(namespace, safe="")] if namespace else []
    parts += [what.plural, *([quote(name, safe="")] if name else [])]
    return "/".join(parts)
