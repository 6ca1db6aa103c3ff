"""The API server, by the official client: one job read, watched and changed."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import kubernetes
import urllib3
from kubernetes.client.exceptions import ApiException

from olive_cli.errors import CliError
from olive_cli.follow import Body, Gone, Unreachable

GROUP, VERSION, PLURAL = "olive-operator.io", "v1alpha1", "optimizationjobs"

_k8s: Any = kubernetes  # its functions carry no types


@dataclass(frozen=True)
class Cluster:
    """A cluster and the namespace to look in. ``kubectl``: how kubectl is told of the same."""

    api: Any
    namespace: str
    kubectl: tuple[str, ...]

    @staticmethod
    def connect(kubeconfig: str | None, context: str | None, namespace: str | None) -> "Cluster":
        """By the same files, contexts and default namespace as kubectl."""
        try:
            _, current = _k8s.config.list_kube_config_contexts(config_file=kubeconfig)
            api = _k8s.config.new_client_from_config(config_file=kubeconfig, context=context)
            if context:
                contexts, _ = _k8s.config.list_kube_config_contexts(config_file=kubeconfig)
                current = next(c for c in contexts if c["name"] == context)
        except (_k8s.config.ConfigException, OSError) as error:
            raise CliError(
                f"no cluster: {error}; set KUBECONFIG or give --kubeconfig and --context"
            ) from None
        flags = [f"--kubeconfig={kubeconfig}"] if kubeconfig else []
        flags += [f"--context={context}"] if context else []
        chosen = namespace or current["context"].get("namespace") or "default"
        return Cluster(_k8s.client.CustomObjectsApi(api), chosen, ("kubectl", *flags))

    def job(self, name: str) -> "JobStream":
        """The job of that name."""
        return JobStream(self.api, self.namespace, name)


@dataclass(frozen=True)
class JobStream:
    """One OptimizationJob, as `follow` wants it."""

    api: Any
    namespace: str
    name: str

    def read(self) -> Body | None:
        """The object as it is now, or None if it does not exist."""
        try:
            body: Body = self.api.get_namespaced_custom_object(
                GROUP, VERSION, self.namespace, PLURAL, self.name, _request_timeout=20
            )
            return body
        except ApiException as error:
            if error.status == 404:
                return None
            raise _told(error) from None
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(str(error)) from None

    def patch(self, change: Mapping[str, Any]) -> None:
        """Merge the change into the object."""
        try:
            self.api.patch_namespaced_custom_object(
                GROUP,
                VERSION,
                self.namespace,
                PLURAL,
                self.name,
                change,
                _content_type="application/merge-patch+json",
                _request_timeout=20,
            )
        except ApiException as error:
            raise _told(error) from None
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(str(error)) from None

    def events(self, version: str, seconds: float) -> Iterator[tuple[str, Body]]:
        """(type, object) of each change after ``version``, for so many seconds at most."""
        stream = _k8s.watch.Watch().stream(
            self.api.list_namespaced_custom_object,
            GROUP,
            VERSION,
            self.namespace,
            PLURAL,
            field_selector=f"metadata.name={self.name}",
            resource_version=version,
            timeout_seconds=max(int(seconds), 1),
            _request_timeout=seconds + 10,
        )
        try:
            for event in stream:
                yield event["type"], event["object"]
        except ApiException as error:
            raise _told(error) from None
        except urllib3.exceptions.HTTPError as error:
            raise Unreachable(str(error)) from None


def _told(error: ApiException) -> Exception:
    if error.status == 410:
        return Gone()
    if error.status is None or error.status == 429 or error.status >= 500:
        return Unreachable(f"{error.status} {error.reason}")
    return CliError(f"the API server refuses ({error.status} {error.reason}): {_sentence(error)}")


def _sentence(error: ApiException) -> str:
    """Its own sentence, which names the right that is missing or the field that is wrong."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, KeyError, TypeError):
        return "check your rights"
