"""What the controller costs and how fast it is, on a real API server with pods that kwok plays.

    python bench/controller.py [--jobs N ...] [--longest-s 30] [--places 310] [--no-keep]

etcd, API server, controller manager and kwok's nodes of hack/cluster; the operator as the process
that it is. N jobs of twelve stages are applied at once; each stage's pod runs for 1 to
``--longest-s`` seconds, ``--places`` of them at a time. In the middle the operator is killed and
started again, and once more when all is at rest. A table, then JSON in the last line for each N,
kept as bench/results/controller-N.json. Exit code 1 if a job was stuck or a stage was run twice;
where nothing moves any more, the figures are of what was reached.
"""

import argparse
import itertools
import json
import math
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from controller_parts import audit, jobs
from controller_parts.cluster import CLIENT, OPERATOR, Cluster
from controller_parts.figures import AS_MANY, MANY, Measured, children, figures, table
from controller_parts.jobs import Manifest
from controller_parts.observer import Observer, Sample, cores
from controller_parts.operator import Operator, usage
from machine import ROOT, keep

STUCK_S: Final = 120.0
"""Without a stage that begins or ends, although some are left: nothing will come any more."""
REST_S: Final = 60
CONCURRENCIES: Final = (8, 16, 32, 64)
TRIED: Final = 200
PASSES: Final = "olive_reconcile_duration_seconds_count"


def main() -> None:
    """Measure one size after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, nargs="+", default=[1000])
    parser.add_argument("--longest-s", type=float, default=30, help="of a stage's run")
    parser.add_argument("--places", type=int, default=310, help="pods that run at a time")
    parser.add_argument("--rest-s", type=float, default=REST_S, help="how long rest is watched")
    parser.add_argument(
        "--checkout", type=Path, default=ROOT, help="whose operator is measured; not kept if other"
    )
    parser.add_argument("--no-keep", action="store_true", help="leave bench/results as it is")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the cluster is taken down
    found, checkout = [], arguments.checkout.resolve()
    for number in arguments.jobs:
        with (
            TemporaryDirectory(prefix="olive-bench-") as folder,
            Cluster(
                Path(folder), checkout / "crds", arguments.longest_s, arguments.places
            ) as cluster,
            Operator(cluster.kubeconfig_of(OPERATOR), Path(folder), checkout) as operator,
            Observer(cluster.kubeconfig, jobs.inputs()) as observer,
        ):
            bench = Bench(cluster, operator, observer, Path(folder), number)
            result = bench.measure(arguments.rest_s)
        asked = {"places": arguments.places, "longest_s": arguments.longest_s}
        found.append({"bench": "controller", **asked, **result})
        print(table(found))
        if arguments.no_keep or checkout != ROOT:
            print(json.dumps(found[-1]), flush=True)
        else:
            keep(f"controller-{number}", found[-1])
    sys.exit(any(result["stuck"] or result["doubled"] for result in found))


class StuckError(Exception):
    """Nothing happens any more, although something should."""


class Bench:
    """One measurement of so many jobs on a fresh cluster."""

    def __init__(
        self,
        cluster: Cluster,
        operator: Operator,
        observer: Observer,
        folder: Path,
        number: int,
    ) -> None:
        self.cluster, self.operator, self.observer = cluster, operator, observer
        self.folder, self.number, self.began = folder, number, time.monotonic()
        self.timeline = observer.timeline
        self.programs = cluster.pids()
        self.firsts = sum(not before for before in self.timeline.inputs.values())
        self.reached: dict[str, Sample] = {}
        self.passes = 0.0
        self.burst = self.started = math.inf
        self.rss_at_many_mb = math.nan

    def measure(self, rest_s: float) -> dict[str, Any]:
        """Every figure by its name."""
        try:
            self.run_through()
        except StuckError as error:
            print(error, file=sys.stderr)
        stuck, asked, end = self.not_ready(), self.asked(), self.sample()
        idle, steady, killed = (self.reached.get(name, end) for name in ("idle", "steady", "half"))
        rest = {"rest": None, "restart_at_rest": None} if stuck else self.at_rest(rest_s)
        measured = Measured(
            jobs=self.number,
            timeline=self.timeline,
            burst=self.burst,
            idle=idle,
            steady=steady,
            killed=killed,
            end=end,
            rss_at_many_mb=self.rss_at_many_mb,
            passes=self.passes,
            started=self.started,
            asked=asked,
            bare=self.bare_rate(self.firsts * self.number),
            ended_by_itself=self.operator.ended,
            stuck=stuck,
        )
        return {**figures(measured), **rest}

    def run_through(self) -> None:
        """From the first job to the last stage. StuckError where nothing moves any more."""
        stages = self.number * len(self.timeline.inputs)
        self.create([jobs.job(0)])
        self.until("the first job's stages", lambda: len(self.timeline.first) == self.firsts)
        self.reached["idle"] = self.sample()

        self.burst = time.monotonic()
        self.create([jobs.job(number) for number in range(1, self.number)])
        all_first = self.firsts * self.number
        self.until("the burst", lambda: len(self.timeline.first) == all_first)
        self.reached["steady"], passes = self.sample(), self.operator.measured(PASSES)
        self.until("half of it", lambda: len(self.timeline.finished) > stages / 2)
        self.reached["half"] = self.sample()
        self.passes = self.operator.measured(PASSES) - passes
        self.restart()
        self.until("the end", lambda: len(self.timeline.finished) == stages)

    def sample(self) -> Sample:
        return Sample.of({**self.programs, "operator": self.operator.pid}, self.timeline)

    def create(self, manifests: list[Manifest], account: str = "", concurrency: int = 32) -> float:
        """Create objects by the bare client: seconds."""
        file = self.folder / "manifests"
        file.write_text("\n".join(json.dumps(manifest) for manifest in manifests))
        who = self.cluster.kubeconfig_of(account) if account else self.cluster.kubeconfig
        command = [sys.executable, "-m", "controller_parts.create", str(who), str(file)]
        done = subprocess.run(
            [*command, str(concurrency)],
            cwd=Path(__file__).parent,
            stdout=subprocess.PIPE,
            check=True,
        )
        return float(done.stdout)

    def bare_rate(self, count: int) -> dict[str, float]:
        """Jobs a second of the bare client: some by its concurrency, then so many by the best."""
        if not (first := self.cluster.listed("jobs", jobs.FIRST)):
            return {}
        made, names = itertools.cycle(first), map(str, itertools.count())

        def per_second(count: int, concurrency: int) -> float:
            copies = [jobs.copy(next(made), next(names)) for _ in range(count)]
            return round((count - 1) / self.create(copies, CLIENT, concurrency), 1)

        tried = min(TRIED, count)
        found = {concurrency: per_second(tried, concurrency) for concurrency in CONCURRENCIES}
        best = max(found, key=lambda one: found[one])
        return {**{str(n): per_s for n, per_s in found.items()}, AS_MANY: per_second(count, best)}

    def restart(self) -> None:
        """Kill the operator, and start it again when some stages have finished."""
        before = len(self.timeline.finished)
        self.operator.kill()
        unanswered = before + self.number / 5
        try:
            self.until("a stage", lambda: len(self.timeline.finished) >= unanswered, up=False)
        finally:
            self.started = time.monotonic()
            self.operator.start()

    def until(self, what: str, condition: Callable[[], bool], up: bool = True) -> None:
        """Wait for it, the operator kept ``up``. StuckError if nothing moves any more."""
        while not condition():
            if up:
                self.operator.keep_up()
                self.weigh()
            if time.monotonic() - self.observer.last > STUCK_S:
                raise StuckError(
                    f"no stage has begun or ended for {STUCK_S:.0f} s, and {what} has not come; "
                    f"the operator's last words:\n{self.operator.last_words}"
                )
            time.sleep(0.1)
        print(f"{time.monotonic() - self.began:7.1f} s  {what}", file=sys.stderr)

    def weigh(self) -> None:
        """What the operator takes when there are many children for the first time."""
        if math.isnan(self.rss_at_many_mb) and children(self.timeline) >= MANY:
            with suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
                self.rss_at_many_mb = usage(self.operator.pid).rss_mb

    def not_ready(self) -> int:
        """How many jobs are not Ready a while after the last stage, or were not even created."""
        deadline = time.monotonic() + STUCK_S
        while True:
            found = self.number - sum(map(ready, self.cluster.listed("optimizationjobs")))
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(2)

    def asked(self, since: str = "") -> list[audit.Request]:
        with self.cluster.audit_log.open("rb") as log:
            return [r for r in audit.requests(log, OPERATOR) if r.at > since]

    def at_rest(self, rest_s: float) -> dict[str, Any]:
        """What the operator does when there is nothing to do, and when it starts then."""
        self.until_quiet()
        since, before = now(), self.sample()
        time.sleep(rest_s)
        until, after = now(), self.sample()
        self.operator.kill()
        self.operator.start()
        self.until_quiet(self.number)
        asked = self.asked(since)
        return {
            "rest": {
                "seconds": rest_s,
                "requests": audit.counted(asked, until=until),
                "cpu_percent": round(cores(before, after)["operator"] * 100, 2),
            },
            "restart_at_rest": {
                "writes": audit.written(audit.counted(asked, since=until)),
                "rss_mb": round(self.sample().usage["operator"].rss_mb, 1),
            },
        }

    def until_quiet(self, passes: float = 0.0) -> None:
        """Until the operator makes no pass for five seconds, after so many since its start."""
        count, since = -1.0, time.monotonic()
        deadline = since + STUCK_S
        while time.monotonic() < deadline:
            found = self.operator.measured(PASSES)
            if found != count or found < passes:
                count, since = found, time.monotonic()
            elif time.monotonic() - since > 5:
                return
            time.sleep(0.5)


def ready(job: Manifest) -> bool:
    """Whether it says that all is made."""
    conditions = job.get("status", {}).get("conditions", [])
    return any((c["type"], c["status"]) == ("Ready", "True") for c in conditions)


def now() -> str:
    """As the audit log writes instants."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


if __name__ == "__main__":
    main()
