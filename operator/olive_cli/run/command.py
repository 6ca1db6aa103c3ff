"""``olive-operator run``: put the parts together, show the work, tell what came of it."""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from rich.console import Console

from olive_cli.commands.watch import show
from olive_cli.errors import CliError
from olive_cli.job.table import WIDE
from olive_cli.run import machine, manifest, place, results, scope, serve
from olive_cli.run.carrier import Carrier, Work
from olive_cli.run.manifest import Job
from olive_cli.run.place import Place
from olive_cli.run.signals import Signals, Stopped, caught
from olive_cli.run.sources import Sources
from olive_contract.store import Store
from olive_operator.api.stage import Stage
from olive_operator.api.status import Status
from olive_operator.plan.graph import claim_of
from olive_operator.plan.keys import addresses


def run(arguments: argparse.Namespace) -> int:
    """The exit status: 0 if all is well, 1 if not, 128 and the signal's number if stopped."""
    read, here = manifest.read(arguments.job), machine.this(arguments.gpus)
    job = Job(read.name, scope.fitted(read.spec, here))
    stages = scope.chosen(job.spec, arguments.until)
    store = Store(arguments.store.absolute())
    claims = place.claims(arguments.claim, claim_of(job.spec), store.root)
    sources = Sources(store.root, stages, claims)
    teller = Teller(job, store, stages)
    for line in scope.differences(read.spec, here):
        teller.say(line)
    if arguments.dry_run:
        known = {source.request: source.key for source in sources.load()}
        for line in results.planned(stages, addresses(stages, known), store, job.spec.gpu.count):
            teller.say(line)
        return 0
    if port := arguments.serve:
        server = place.runtime("serve", arguments.serve_python)
        serve.free(port)
    with _place(arguments, store.root, claims) as folders, caught() as signals:
        work = Work(job, {s.name for s in stages}, here, folders)
        try:
            status = teller.follow(Carrier(work, sources, signals.wait), arguments.json)
        except Stopped as stopped:
            teller.say("stopped; the same command goes on from here")
            return stopped.status
        if any(map(results.bad, status.stages)):
            return 1
        if port:
            what = serve.what(job.name, job.spec, status)
            with serve.served(what, server, folders, port) as process:
                teller.serving(process, signals)
    return 0


class Teller:
    """What is said on standard output, as a picture on a terminal and line by line elsewhere."""

    def __init__(self, job: Job, store: Store, stages: Sequence[Stage]) -> None:
        self._job, self._store, self._stages = job, store, stages
        self._console = Console(highlight=False)
        if self._console.is_terminal:  # a narrower table has no column for pods
            self._console.width = min(self._console.width, WIDE - 1)

    def say(self, text: str) -> None:
        """One line, however long."""
        self._console.print(text, soft_wrap=True, markup=False)
        self._console.file.flush()  # a log is read while it grows

    def follow(self, carrier: Carrier, as_json: bool) -> Status:
        """Show the work to its end; the last status."""
        began, name = time.monotonic(), self._job.name
        with closing(carrier.carry_out()) as statuses:
            show((results.shown(status, name, self._store) for status in statuses), self._console)
        seconds, status = time.monotonic() - began, carrier.status
        logs = {attempt.stage: str(attempt.log) for attempt in carrier.attempts.values()}
        self.say(results.outcome(status, logs, seconds))
        if as_json:
            head = {"job": name, "store": str(self._store.root), "whole_s": round(seconds, 1)}
            self.say(json.dumps({**head, **results.summary(status, self._stages, logs)}))
        return status

    def serving(self, server: serve.Server, signals: Signals) -> None:
        """Say where the server is once it answers, and stay until Ctrl-C: no failure here."""
        try:
            while not server.ready():
                signals.wait(0.25)
            self.say(f"served at {server.url} until Ctrl-C; ask it:\n  {server.example()}")
            while True:
                server.look()
                signals.wait(60.0)
        except Stopped:
            return


@contextmanager
def _place(
    arguments: argparse.Namespace, store: Path, claims: Mapping[str, Path]
) -> Iterator[Place]:
    runtime = place.runtime("stage", arguments.stage_python)
    secrets = {name: place.secret(name, value) for name, value in arguments.secret}
    try:
        store.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(f"--store {store}: {error.strerror}") from None
    with tempfile.TemporaryDirectory(prefix="olive-run-") as folder:
        here = Place(store, runtime, Path(folder), claims, secrets)
        here.link_claims()
        yield here
