"""The names that the API server knows, for completion."""

from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from olive_cli.cluster.apiserver import ApiServer
    from olive_cli.job.view import Job

PATIENCE = 3.0
"""Seconds that the API server has: somebody has pressed Tab."""

Names = Callable[[Namespace], Sequence[str]]
"""Given what was typed before."""


def of_the_cluster() -> dict[str, Names]:
    """The names that the API server knows, by the argument that they may be.

    What speaks to it is imported when it is asked: half a second, which a command's name is not
    worth.
    """

    def server(given: Namespace) -> "tuple[ApiServer, str]":
        from olive_cli.cluster.connection import Cluster

        found = Cluster.connect(given.kubeconfig, given.context, given.namespace)
        return replace(found.server, patience=PATIENCE), found.namespace

    def jobs(given: Namespace) -> Sequence[str]:
        from olive_cli.cluster.apiserver import JOBS

        api, namespace = server(given)
        return [str(b["metadata"]["name"]) for b in api.list(JOBS, namespace)]

    def one(given: Namespace) -> "Job | None":
        from olive_cli.cluster.apiserver import JOBS
        from olive_cli.job.view import job

        api, namespace = server(given)
        body = api.get(JOBS, namespace, given.name)
        return job(body) if body else None

    def stages(given: Namespace) -> Sequence[str]:
        found = one(given)
        return [stage.name for stage in found.stages] if found else ()

    def models(given: Namespace) -> Sequence[str]:
        from olive_cli.commands.ask import served

        found = one(given)
        return served(found) if found else ()

    def claims(given: Namespace) -> Sequence[str]:
        from olive_cli.cluster.apiserver import ARTIFACTS

        api, namespace = server(given)
        return sorted({str(b["spec"]["claim"]) for b in api.list(ARTIFACTS, namespace)})

    return {"name": jobs, "of": jobs, "stage": stages, "model": models, "claim": claims}
