"""argv."""

import argparse
import threading
from contextlib import suppress
from pathlib import Path

from olive_dashboards import preview, record, run, written


def main() -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(prog="python hack/dashboards", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("write", help="the dashboards' JSON and docs/metrics.md")
    story = commands.add_parser(
        "run", help="carry a job out on the cluster of `make demo`, and record it for the tests"
    )
    recorder = commands.add_parser(
        "record", help="what the operators and servings of a cluster tell, until interrupted"
    )
    recorder.add_argument("--kubectl", default="kubectl", help="the program")
    recorder.add_argument("--namespace", default="olive-system", help="of the operator")
    recorder.add_argument("--every", type=float, default=3.0, metavar="SECONDS")
    for writes in (story, recorder):
        writes.add_argument("to", type=Path, help="a file that ends with .om.gz")
    pictures = commands.add_parser(
        "preview", help="pictures of the dashboards, drawn by a page of our own: not Grafana"
    )
    pictures.add_argument("recording", type=Path)
    pictures.add_argument("to", type=Path, help="the folder of the pictures")
    pictures.add_argument("--job", default="", metavar="NAMESPACE/NAME", help="if not the only one")
    given = parser.parse_args()
    if given.command == "write":
        written.write()
    elif given.command == "record":
        with suppress(KeyboardInterrupt):
            never = threading.Event()
            record.record(given.to, given.kubectl, given.namespace, given.every, never)
    elif given.command == "run":
        run.run(given.to)
    else:
        preview.draw(given.recording, given.to, given.job)
