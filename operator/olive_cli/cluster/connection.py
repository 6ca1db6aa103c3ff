"""The cluster that the kubeconfig leads to: its jobs, one of them read, watched and changed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import kubernetes
import urllib3
import yaml
from kubernetes.client.exceptions import ApiException

from olive_cli.cluster.apiserver import JOBS, ApiServer
from olive_cli.cluster.refusals import Asked, meaning, unanswered, unusable
from olive_cli.errors import CliError, NoSuchJobError
from olive_cli.job.view import Body
from olive_operator.labels import GROUP, VERSION

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
        settings = _k8s.client.Configuration()
        settings.retries = False  # who asks has a patience of his own, and it is for one answer
        try:
            default = _default_namespace(kubeconfig, context)
            api = _k8s.config.new_client_from_config(
                config_file=kubeconfig, context=context, client_configuration=settings
            )
        except (_k8s.config.ConfigException, OSError, yaml.YAMLError) as error:
            raise unusable(str(error)) from None
        except (AttributeError, KeyError, TypeError, ValueError):
            raise unusable("the kubeconfig is damaged") from None
        flags = [f"--kubeconfig={kubeconfig}"] if kubeconfig else []
        flags += [f"--context={context}"] if context else []
        chosen = namespace or default
        return Cluster(_k8s.client.CustomObjectsApi(api), chosen, ("kubectl", *flags))

    @property
    def server(self) -> ApiServer:
        """For all that is no single job."""
        return ApiServer(self.api.api_client)

    def job(self, name: str) -> "JobStream":
        """The job of that name."""
        return JobStream(self.api, self.namespace, name)

    def found(self, name: str) -> Body:
        """The job as it is now; NoSuchJobError with names that are near if there is none."""
        body = self.job(name).read()
        if body is None:
            raise self.absent(name)
        return body

    def absent(self, name: str) -> NoSuchJobError:
        """What is said of a job that does not exist."""
        try:
            known = [str(b["metadata"]["name"]) for b in self.server.list(JOBS, self.namespace)]
        except CliError:
            known = []
        near = get_close_matches(name, known)
        hint = f"did you mean {' or '.join(near)}?" if near else "`kubectl olive status` has all"
        return NoSuchJobError(f"optimizationjob {self.namespace}/{name}: no such job; {hint}")


def _default_namespace(kubeconfig: str | None, context: str | None) -> str:
    """That of the context; ConfigException with those that there are, if it is none of them."""
    files = _k8s.config.kube_config
    merged = files.KubeConfigMerger(kubeconfig or files.KUBE_CONFIG_DEFAULT_LOCATION).config
    if merged is None:
        raise _k8s.config.ConfigException("there is no kubeconfig")
    contexts = {node.value["name"]: node.value["context"] for node in merged.value["contexts"]}
    wanted = context or merged.value.get("current-context")
    if wanted not in contexts:
        what = f"no context {wanted!r}" if wanted else "no context is the current one"
        known = ", ".join(sorted(contexts)) or "none"
        raise _k8s.config.ConfigException(f"{what}; there are {known}")
    return str(contexts[wanted].get("namespace") or "default")


@dataclass(frozen=True)
class JobStream:
    """One OptimizationJob, as `follow` wants it."""

    api: Any
    namespace: str
    name: str

    def read(self) -> Body | None:
        """The object as it is now, or None if it does not exist."""
        return ApiServer(self.api.api_client).get(JOBS, self.namespace, self.name)

    def patch(self, change: Mapping[str, Any]) -> None:
        """Merge the change into the object."""
        with self._telling("patch"):
            self.api.patch_namespaced_custom_object(
                GROUP,
                VERSION,
                self.namespace,
                JOBS.plural,
                self.name,
                change,
                _content_type="application/merge-patch+json",
                _request_timeout=20,
            )

    def events(self, version: str, seconds: float) -> Iterator[tuple[str, Body]]:
        """(type, object) of each change after ``version``, for so many seconds at most."""
        with self._telling("watch"):
            stream = _k8s.watch.Watch().stream(
                self.api.list_namespaced_custom_object,
                GROUP,
                VERSION,
                self.namespace,
                JOBS.plural,
                field_selector=f"metadata.name={self.name}",
                resource_version=version,
                timeout_seconds=max(int(seconds), 1),
                _request_timeout=seconds + 10,
            )
            for event in stream:
                yield event["type"], event["object"]

    @contextmanager
    def _telling(self, verb: str) -> Iterator[None]:
        """With what the API server refuses told in a sentence."""
        asked = Asked(verb, JOBS, self.namespace)
        try:
            yield
        except ApiException as error:
            text, status = str(error.body or ""), error.status or 0
            raise meaning(status, str(error.reason), text, asked) from None
        except urllib3.exceptions.HTTPError as error:
            raise unanswered(error, self.api.api_client.configuration.host) from None
