"""Jobs, two operators, a real API server and etcd, and everything that goes wrong.

    python -m chaos [--jobs 50] [--seconds 1800] [--seed N] [--keep] [--logs FOLDER]

What is drawn follows from the seed; what comes of it, from the machine's pace as well. The last
line is one JSON object. Exit code 1 if anything was lost or done twice, or the status is not true;
then the operators' logs and the API server's audit log tell why, if a folder for them was named.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from apiserver.operators import Jobs, Operator
from apiserver.planes import plane, store, with_crds
from kubernetes import client, config
from machine import keep

from chaos.monkey import KILLS, Monkey
from chaos.nodes import Nodes
from chaos.people import sections
from chaos.verdict import unfinished, violations
from chaos.volume import Volume

LEASE = {"seconds": 4, "renewSeconds": 3, "retrySeconds": 0.3}
SNAPSHOT_AGE_S = 300.0
PATIENCE_S = 90.0
"""For all jobs to come to their end when it is calm, and as much again for each ten of them."""


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all of it is taken down
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=1800, help="of faults")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--logs", type=Path, help="a folder for what the parts have logged")
    parser.add_argument("--keep", action="store_true", help="in bench/results, with the machine")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    found = soak(arguments.jobs, arguments.seconds, arguments.seed, arguments.logs)
    if arguments.keep:
        keep("chaos", found)
    else:
        print(json.dumps({"bench": "chaos", **found}))
    sys.exit(any(found[name] for name in ("lost", "doubled", "violations")))


def soak(count: int, seconds: float, seed: int, logs_to: Path | None) -> dict[str, object]:
    """One soak; the figures of what came of it."""
    draw, started = random.Random(seed), time.monotonic()  # noqa: S311
    name, patience_s = f"chaos-{os.getpid()}", PATIENCE_S * (1 + count / 10)
    age = min(SNAPSHOT_AGE_S, seconds / 4)
    # What a snapshot names must still be in the store when it is restored.
    kept = {"retention": f"{age * 1.5:.0f}s", "leftovers": ""}
    with (
        tempfile.TemporaryDirectory(prefix="chaos-") as folder,
        plane("chaos", "--kwok", "5") as kubeconfig,
    ):
        api = config.new_client_from_config(str(kubeconfig))
        jobs, volume = Jobs(api, "ml"), Volume()
        client.CoreV1Api(api).create_namespace({"metadata": {"name": "ml"}})
        for claim in ("olive-store", "models", "data"):
            store(replace(with_crds(kubeconfig), namespace="ml"), name=claim)
        nodes = Nodes(api, "ml", volume, seed)
        with (
            Operator(kubeconfig, Path(folder), "ml", "a", LEASE, store=kept) as first,
            Operator(kubeconfig, Path(folder), "ml", "b", LEASE, store=kept) as second,
            nodes,
        ):
            for number in range(count):
                jobs.create(f"job-{number}", sections(draw))
            monkey = Monkey(draw, jobs, nodes, [first, second], name)
            monkey.plague(seconds, age, Path(folder) / "etcd.db")
            monkey.calm()
            left = at_rest(monkey, lambda: unfinished(jobs), patience_s)
            wrong = [] if left else at_rest(monkey, lambda: violations(jobs, volume), patience_s)
            logs = [operator.log.splitlines() for operator in (first, second)]
            if logs_to:
                shutil.copytree(kubeconfig.parent / "logs", logs_to, dirs_exist_ok=True)
                for log, operator in zip("ab", (first, second), strict=True):
                    (logs_to / f"operator-{log}.log").write_text(operator.log)
            print(*(f"runs {o.runs}, leads {o.leads()}" for o in (first, second)), sep="; ")
    crashed = [line for log in logs for line in log if "Traceback" in line]
    wrong += [*monkey.unjust, *volume.wrong, *crashed]
    if left or wrong:
        print("\n".join(line for log in logs for line in log[-20:]))
    for line in (*left, *wrong, *nodes.doubled):
        print(line, flush=True)
    return {
        "seed": seed,
        "jobs": count,
        "seconds": round(time.monotonic() - started, 1),
        "kills": sum(monkey.faults[kind] for kind in KILLS),
        "faults": dict(monkey.faults),
        "snapshot_age_s": monkey.ages,
        "edits": monkey.people.edits,
        "conflicts": monkey.people.conflicts,
        "artifacts": len(volume.there),
        "made_again": volume.made_again,
        "swept": len(volume.swept),
        "lost": len(left),
        "doubled": len(nodes.doubled),
        "violations": len(wrong),
    }


def at_rest(monkey: Monkey, wrong: Callable[[], list[str]], patience_s: float) -> list[str]:
    """What is still wrong although there was time, the garbage collector's included."""
    until = time.monotonic() + patience_s
    while (found := wrong()) and time.monotonic() < until:
        monkey.keep_running()  # one that finds its history lost ends even now
        time.sleep(0.5)
    return found


if __name__ == "__main__":
    main()
