"""``python -m olive_operator``: read the command line, open the metrics, start."""

import argparse
import gc
import logging
import sys
from pathlib import Path

import prometheus_client
import uvloop

from olive_operator import config, startup
from olive_operator.watch.informer import HistoryLostError


def main() -> None:
    """Run the operator; exit code 2 for a configuration that cannot be used."""
    parser = argparse.ArgumentParser(prog="olive-operator", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the configuration file (YAML)")
    parser.add_argument("--metrics-port", type=int, default=8080, help="port of /metrics")
    parser.add_argument(
        "--liveness",
        default="http://0.0.0.0:8081/healthz",
        help="URL under which liveness is answered",
    )
    parser.add_argument("--verbose", action="store_true", help="log every pass")
    options = parser.parse_args()
    logging.basicConfig(
        level=logging.DEBUG if options.verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    logging.getLogger("kopf").setLevel(logging.INFO if options.verbose else logging.WARNING)
    # That kopf, in its thread, hears no signals: it is not to.
    logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
    try:
        settings = config.load(options.config)
        startup.lease_namespace(settings)
    except (OSError, ValueError) as error:
        print(f"olive-operator: {options.config}: {error}", file=sys.stderr)
        sys.exit(2)
    # Records are kept for good, and hardly anything is left in circles: to look for those at the
    # usual pace would be a fifth of what the operator does, and two fifths of its start.
    gc.freeze()
    gc.set_threshold(20_000)
    # The API server takes objects that are nested ten thousand deep; one must not keep us from all.
    sys.setrecursionlimit(20_000)
    prometheus_client.start_http_server(options.metrics_port)
    try:
        uvloop.run(startup.run(settings, options.liveness))
        return
    except* HistoryLostError as group:
        lost: BaseException = group
        while isinstance(lost, BaseExceptionGroup):
            lost = lost.exceptions[0]
        logging.critical("%s; nothing that is known holds: Kubernetes starts this anew", lost)
    sys.exit(1)


if __name__ == "__main__":
    main()
