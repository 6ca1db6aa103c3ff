"""The stages of an OptimizationJob: fetch, quantize, finetune, export, adapter, evaluate.

``python -m olive_stage '<StageInput JSON>'`` runs one attempt of one stage: it reads verified
artifacts from the store, writes one whole artifact or none, prints its progress, and leaves a
report for the kubelet. ``run`` is the frame that is the same for all; each kind is a module with
one function ``make(params, work) -> Made``.
"""
