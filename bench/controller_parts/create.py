"""A bare client that creates objects: what the operator's rate is measured against.

    python -m controller_parts.create KUBECONFIG MANIFESTS CONCURRENCY

MANIFESTS is a file with one object a line. So many requests are under way at a time; answers are
read and not decoded. The last line says how long it took, in seconds.
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

from kubernetes.aio import client, config

from olive_operator import labels

_PATHS: Final = {
    "Job": "/apis/batch/v1/namespaces/{}/jobs",
    "OptimizationJob": f"/apis/{labels.API_VERSION}/namespaces/{{}}/optimizationjobs",
}


async def main(kubeconfig: str, manifests: list[Any], concurrency: int) -> None:
    """Create them all."""
    await config.load_kube_config(kubeconfig)
    configuration = client.Configuration.get_default_copy()
    configuration.connection_pool_maxsize = concurrency
    # Or aiohttp looks for a proxy in a thread, at every request.
    configuration.client_session_kwargs = {"trust_env": False}
    async with client.ApiClient(configuration) as api:
        left = iter(manifests)
        await _create(api, left, 1)  # the connection and its handshake are not what is measured
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(_create(api, left))
        print(time.monotonic() - started)


async def _create(api: Any, manifests: Any, count: int | None = None) -> None:
    for number, manifest in enumerate(manifests, 1):
        path = _PATHS[manifest["kind"]].format(manifest["metadata"]["namespace"])
        request = await api.param_serialize(
            "POST",
            path,
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=manifest,
            auth_settings=["BearerToken"],
        )
        answer = await api.call_api(*request)
        said = await answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{answer.status} {said[:500]!r}")
        if number == count:
            return


if __name__ == "__main__":
    lines = Path(sys.argv[2]).read_text().splitlines()
    asyncio.run(main(sys.argv[1], [json.loads(line) for line in lines], int(sys.argv[3])))
