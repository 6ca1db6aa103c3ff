"""``olive-operator run job.yaml``: an OptimizationJob carried out without a cluster.

The operator's own pure plan with another carrier: ``manifest`` (with ``schema`` and ``rules``)
reads the file as the API server would; ``carrier`` asks ``olive_operator.plan`` what is to be done
and does it with processes (``attempt``) instead of pods; ``schedule`` decides which of them may run
now on this ``machine``; ``sources`` remembers what was fetched; ``results`` tells what came of it.
"""
