"""Taking the demo away: our cluster whole; from somebody's cluster, what we put there."""

import shutil

from olive_demo import target as where
from olive_demo.install import DEMO, RELEASE, SYSTEM, ours
from olive_demo.shell import BUILD, Tell, call
from olive_demo.target import CLUSTER, NAME, Target

CRDS = ("optimizationjobs.olive-operator.io", "artifacts.olive-operator.io")


def remove(target: Target, tell: Tell) -> None:
    """Leave no trace but the caches that make the next time quick."""
    if target.own:
        call([*CLUSTER, "down", "--name", NAME], "cluster", tell=tell)
    else:
        _from_cluster(where.up(target, tell), tell)
    shutil.rmtree(BUILD, ignore_errors=True)


def _from_cluster(target: Target, tell: Tell) -> None:
    if ours(target, DEMO):
        tell(f"deleting namespace {DEMO}")
        target.kubectl("delete", "namespace", DEMO, "--wait")
    if not ours(target, SYSTEM):
        tell("there is no operator of the demo's")
        return
    target.helm("uninstall", RELEASE, "--namespace", SYSTEM, "--ignore-not-found", "--wait")
    target.kubectl("delete", "namespace", SYSTEM, "--wait")
    for crd in CRDS:
        if not target.kubectl("get", "crd", crd, "--ignore-not-found"):
            continue
        if target.kubectl("get", crd, "--all-namespaces", "--ignore-not-found"):
            tell(f"{crd} stays: there are objects of it that are not the demo's; without an")
            tell(f"operator nothing comes of them. To be rid of them: kubectl delete crd {crd}")
        else:
            target.kubectl("delete", "crd", crd)
    tell("removed")
