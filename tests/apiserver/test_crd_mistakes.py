"""Every mistake in a job is refused at once, with a sentence that says what to write instead."""

import re
from typing import Any

import pytest
import yaml
from programs import ROOT

from .jobs import (
    CUDA,
    DATA,
    WORKFLOW,
    adapter,
    job,
    published_to_azure,
    published_to_hub,
    published_to_registry,
    with_calibration,
    with_data,
    with_evaluation_data,
    with_gate,
    with_lora,
    with_parent,
    with_toleration,
)
from .kubectl import Kubectl, Manifest

CRD = ROOT / "crds" / "optimizationjobs.olive-operator.io.yaml"

WRITE_MODEL = (
    "write hf://OWNER/NAME, hf://OWNER/NAME@REVISION, pvc://CLAIM/PATH, s3://BUCKET/PATH, "
    "az://CONTAINER/PATH or azureml://…"
)
WRITE_AZUREML = (
    "write azureml://registries/REGISTRY/models/NAME/versions/VERSION, or "
    "azureml://subscriptions/ID/resourcegroups/GROUP/workspaces/WORKSPACE/ and then "
    "models/NAME/versions/VERSION or datastores/NAME/paths/PATH"
)
WRITE_DATA = (
    "write pvc://CLAIM/PATH, https://HOST/PATH, s3://BUCKET/PATH, az://CONTAINER/PATH, "
    "hf://datasets/OWNER/NAME[@REVISION]/PATH or azureml://subscriptions/ID/resourcegroups/GROUP/"
    "workspaces/WORKSPACE/datastores/NAME/paths/PATH"
)
NO_CREDENTIALS = (
    "https:// and pvc:// sources take no credentials, and azureml:// those of spec.azure; "
    "leave secretRef out"
)
WRITE_SHA256 = (
    "write the SHA-256 of the file, 64 lower-case hexadecimal digits, as sha256sum prints it"
)
WRITE_MODULE = "write the name of a module, or its end, such as q_proj or self_attn.q_proj"
CALIBRATE = (
    "algorithms awq and gptq need data to calibrate with; give spec.quantize.calibration.source "
    "and template, or use algorithm rtn, which needs none"
)
DEVICE_AND_PROVIDER = (
    "device cpu goes with provider CPUExecutionProvider, and device gpu with "
    "CUDAExecutionProvider; write both"
)
COMPARED = (
    "originalPerplexity and perplexityChange compare with the model before quantize or workflow; "
    "give one of those and leave evaluate.reference true, or leave these gates out"
)
YES = 'must be of type boolean: "string"'
WRITE_SECRET = (
    'write the name of a Secret (lower-case letters, digits, "-" and "."), not the token itself'
)
WRITE_NAME = (
    'use lower-case letters, digits, "-" and ".", beginning and ending with a letter or digit'
)
WRITE_LABEL = 'use lower-case letters, digits and "-", beginning and ending with a letter or digit'
WRITE_COLUMN = "the template names no column; write at least one, such as {prompt}"
WRITE_BRACES = (
    "a brace of the template stands alone; write {column} for a column of the row, "
    "and {{ or }} for a brace"
)
NO_DOTS = 'the path may not contain ".."'
WRITE_QUANTITY = "write a quantity, such as 2, 500m or 8Gi"
EVALUATE_DATA = (
    "evaluate measures on the held-out rows of an adapter's data, or on evaluate.data; "
    "give one of them, or leave evaluate out"
)
CREDENTIALS = (
    "credentials do not belong into a URL, as everyone who may see the job sees them; "
    "leave USER:PASSWORD@ out"
)
DATA_OR_SOURCE = (
    "an adapter has either data (to be trained here) or source (made elsewhere), "
    "not both and not neither"
)
OTHERS_CLAIM = (
    "size, storageClassName and accessMode are those of the claim that is made when storage.claim "
    "is left out; leave them out, or leave claim out"
)

ONE_PLACE = "a model is in a workspace or in a registry; give one of the two"
BY_SUBSCRIPTION = "a workspace is found by subscription and resourceGroup; give both"
BY_NAME = "a registry is found by its name alone; leave subscription and resourceGroup out"
WRITE_AZURE_NAME = 'write letters, digits, "-", "_" and ".", beginning with a letter or digit'
WRITE_UUID = "write an id such as 00000000-1111-2222-3333-444444444444"
WRITE_REFERENCE = "write HOST/PATH:TAG, such as registry.example.com/models/travel:v1"
BOTH_IDS = "workload identity takes clientID and tenantID; give both, or neither"

WRITE_DURATION = "write a duration in days, hours, minutes and seconds, such as 30s, 1h30m or 7d"
ABOVE_ZERO = "write a duration above 0"

UUID = "00000000-1111-2222-3333-444444444444"
WORKSPACE = f"azureml://subscriptions/{UUID}/resourcegroups/ml/workspaces/slm"
AT_WORKSPACE = {"subscription": UUID, "resourceGroup": "ml", "workspace": "slm"}

# What is wrong: the job, the field that is named, what is said of it.
MISTAKES: dict[str, tuple[Manifest, str, str]] = {
    # The name
    "a name too long for its children": (
        job(name="a" * 53),
        "metadata.name",
        "the names of its children start with it; use 52 characters at most",
    ),
    "a name that is no Service's": (
        job(name="phi-3.5"),
        "metadata.name",
        'the Service is named after it; use lower-case letters, digits and "-", '
        "beginning with a letter and ending with a letter or digit",
    ),
    # The model
    "no model": ({**job(), "spec": {}}, "spec.model", "Required value"),
    "no source of the model": (job(model={}), "spec.model.source", "Required value"),
    "an empty source": (job(model={"source": ""}), "spec.model.source", WRITE_MODEL),
    "a model by its bare name": (
        job(model={"source": "microsoft/phi-3.5"}),
        "spec.model.source",
        WRITE_MODEL,
    ),
    "a model from a store that is not known": (
        job(model={"source": "gs://bucket/phi"}),
        "spec.model.source",
        WRITE_MODEL,
    ),
    "a model without its owner": (
        job(model={"source": "hf://gpt2"}),
        "spec.model.source",
        WRITE_MODEL,
    ),
    "a data set as a model": (
        job(model={"source": "hf://datasets/phi"}),
        "spec.model.source",
        WRITE_MODEL,
    ),
    "a claim without a path": (
        job(model={"source": "pvc://models"}),
        "spec.model.source",
        WRITE_MODEL,
    ),
    "a path that climbs out of the claim": (
        job(model={"source": "pvc://models/../secrets"}),
        "spec.model.source",
        NO_DOTS,
    ),
    "a model of Azure ML by its name alone": (
        job(model={"source": "azureml:phi:3"}),
        "spec.model.source",
        WRITE_MODEL,
    ),
    "a model of Azure ML without its version": (
        job(model={"source": "azureml://registries/azureml/models/Phi-3.5-mini-instruct"}),
        "spec.model.source",
        WRITE_AZUREML,
    ),
    "the newest version of a model": (
        job(model={"source": "azureml://registries/azureml/models/phi/labels/latest"}),
        "spec.model.source",
        WRITE_AZUREML,
    ),
    "a model of a workspace nobody can find": (
        job(model={"source": "azureml://workspaces/slm/models/phi/versions/1"}),
        "spec.model.source",
        WRITE_AZUREML,
    ),
    "a datastore without a path": (
        job(model={"source": f"{WORKSPACE}/datastores/blobs/paths/"}),
        "spec.model.source",
        WRITE_AZUREML,
    ),
    "a path that climbs out of the datastore": (
        job(model={"source": f"{WORKSPACE}/datastores/blobs/paths/../secrets"}),
        "spec.model.source",
        NO_DOTS,
    ),
    "a scheme in capitals": (
        job(model={"source": "AzureML://registries/azureml/models/phi/versions/1"}),
        "spec.model.source",
        WRITE_MODEL,
    ),
    "a Secret for Azure ML beside its source": (
        job(model={"source": f"{WORKSPACE}/models/phi/versions/1", "secretRef": "principal"}),
        "spec.model.secretRef",
        NO_CREDENTIALS,
    ),
    "a registered model as data": (
        with_data(source="azureml://registries/azureml/models/rows/versions/1"),
        "spec.adapters[0].data.source",
        WRITE_DATA,
    ),
    "data of Azure ML in capitals": (
        with_data(
            source=f"{WORKSPACE}/datastores/blobs/paths/rows.jsonl".replace("azureml", "AZUREML")
        ),
        "spec.adapters[0].data.source",
        WRITE_DATA,
    ),
    "an adapter of Azure ML without its version": (
        job(adapters=[{"name": "french", "source": "azureml://registries/r/models/french"}]),
        "spec.adapters[0].source",
        WRITE_AZUREML,
    ),
    "a token for the name of its Secret": (
        job(model={"source": "hf://a/b", "secretRef": "hf_AbCdEf"}),
        "spec.model.secretRef",
        WRITE_SECRET,
    ),
    "a bucket without a path": (
        job(model={"source": "s3://models"}),
        "spec.model.source",
        WRITE_MODEL,
    ),
    "a token for a claim": (
        job(model={"source": "pvc://models/phi", "secretRef": "hf-token"}),
        "spec.model.secretRef",
        NO_CREDENTIALS,
    ),
    "pickles for yes": (
        job(model={"source": "hf://a/b", "allowPickle": "yes"}),
        "spec.model.allowPickle",
        YES,
    ),
    "remote code for yes": (
        job(model={"source": "hf://a/b", "trustRemoteCode": "yes"}),
        "spec.model.trustRemoteCode",
        YES,
    ),
    # Quantization
    "an algorithm that we do not have": (
        job(quantize={"algorithm": "hqq"}),
        "spec.quantize.algorithm",
        'unknown algorithm "hqq"; write awq, gptq or rtn',
    ),
    "eight bits": (
        job(quantize={"precision": "int8"}),
        "spec.quantize.precision",
        'Unsupported value: "int8": supported values: "int4"',
    ),
    "a group size that is no power of two": (
        job(quantize={"groupSize": 100}),
        "spec.quantize.groupSize",
        'Unsupported value: 100: supported values: "16", "32", "64", "128", "256"',
    ),
    "a group size as text": (
        job(quantize={"groupSize": "128"}),
        "spec.quantize.groupSize",
        'must be of type integer: "string"',
    ),
    "gptq without calibration": (
        job(quantize={"algorithm": "gptq"}),
        "spec.quantize",
        CALIBRATE,
    ),
    "awq without calibration": (job(quantize={"algorithm": "awq"}), "spec.quantize", CALIBRATE),
    "rtn with calibration": (
        job(quantize={"calibration": DATA}),
        "spec.quantize",
        "algorithm rtn uses no calibration data; leave spec.quantize.calibration out, "
        "or use algorithm awq or gptq",
    ),
    "calibration with data of an unknown kind": (
        with_calibration(source="hf://someone/data"),
        "spec.quantize.calibration.source",
        WRITE_DATA,
    ),
    "calibration with a Secret that has no name": (
        with_calibration(secretRef=""),
        "spec.quantize.calibration.secretRef",
        WRITE_SECRET,
    ),
    "calibration without a template": (
        job(quantize={"algorithm": "gptq", "calibration": {"source": "pvc://data/x"}}),
        "spec.quantize.calibration.template",
        "Required value",
    ),
    "calibration with a template without a column": (
        with_calibration(template="once upon a time"),
        "spec.quantize.calibration.template",
        WRITE_COLUMN,
    ),
    "no rows to calibrate with": (
        with_calibration(samples=0),
        "spec.quantize.calibration.samples",
        "should be greater than or equal to 1",
    ),
    "rows of two tokens": (
        with_calibration(maxLength=2),
        "spec.quantize.calibration.maxLength",
        "should be greater than or equal to 8",
    ),
    "calibration with a hash cut short": (
        with_calibration(sha256="abc123"),
        "spec.quantize.calibration.sha256",
        WRITE_SHA256,
    ),
    # A workflow
    "a workflow beside quantize": (
        job(quantize={}, workflow=WORKFLOW),
        "spec.workflow",
        "workflow stands in the place of quantize; leave one of the two out",
    ),
    "a workflow without passes": (job(workflow={}), "spec.workflow.passes", "Required value"),
    "a workflow of no pass": (
        job(workflow={"passes": {}}),
        "spec.workflow.passes",
        "should have at least 1 properties",
    ),
    # Adapters
    "two adapters of one name": (
        job(adapters=[adapter(), adapter()]),
        "spec.adapters",
        "two adapters have one name; give each its own, as it is the model's name "
        "in the served API",
    ),
    "an adapter without a name": (
        job(adapters=[{"data": DATA}]),
        "spec.adapters[0].name",
        "Required value",
    ),
    "an adapter's name in capitals": (
        job(adapters=[adapter("Travel")]),
        "spec.adapters[0].name",
        'use lower-case letters, digits and "-", beginning and ending with a letter or digit',
    ),
    "an adapter's name too long": (
        job(adapters=[adapter("a" * 41)]),
        "spec.adapters[0].name",
        "may not be more than 40 bytes",
    ),
    "an adapter called like the base": (
        job(adapters=[adapter("base")]),
        "spec.adapters[0].name",
        '"base" has a meaning of its own here; choose another name for the adapter',
    ),
    "an adapter called like a stage": (
        job(adapters=[adapter("quantize")]),
        "spec.adapters[0].name",
        '"quantize" has a meaning of its own here; choose another name for the adapter',
    ),
    "pickles of an adapter that is trained here": (
        job(adapters=[adapter(allowPickle=True)]),
        "spec.adapters[0].allowPickle",
        "allowPickle is about the weights of source, and an adapter that is trained here has none; "
        "leave it out",
    ),
    "an adapter with neither data nor source": (
        job(adapters=[{"name": "travel"}]),
        "spec.adapters[0]",
        DATA_OR_SOURCE,
    ),
    "an adapter with data and source": (
        job(adapters=[adapter(source="hf://someone/lora")]),
        "spec.adapters[0]",
        DATA_OR_SOURCE,
    ),
    "an adapter from a web page": (
        job(adapters=[{"name": "travel", "source": "https://host/lora"}]),
        "spec.adapters[0].source",
        WRITE_MODEL,
    ),
    "training of an adapter made elsewhere": (
        job(adapters=[{"name": "travel", "source": "hf://someone/lora", "lora": {}}]),
        "spec.adapters[0]",
        "lora says how to train, and an adapter with a source is only converted; leave lora out",
    ),
    "the data's Secret beside the data": (
        job(adapters=[adapter(secretRef="hf-token")]),
        "spec.adapters[0].secretRef",
        "this is the secret of source; write that of the data as data.secretRef",
    ),
    # An adapter's data
    "data without a source": (
        job(adapters=[{"name": "travel", "data": {"template": "{prompt}"}}]),
        "spec.adapters[0].data.source",
        "Required value",
    ),
    "data without encryption": (
        with_data(source="http://host/x"),
        "spec.adapters[0].data.source",
        WRITE_DATA,
    ),
    "data behind a password in the URL": (
        with_data(source="https://me:secret@host/x"),
        "spec.adapters[0].data.source",
        CREDENTIALS,
    ),
    "data outside of its claim": (
        with_data(source="pvc://data/.."),
        "spec.adapters[0].data.source",
        NO_DOTS,
    ),
    "data with a Secret that is none": (
        with_data(secretRef="my secret"),
        "spec.adapters[0].data.secretRef",
        WRITE_SECRET,
    ),
    "data with a hash in capitals": (
        with_data(sha256="A" * 64),
        "spec.adapters[0].data.sha256",
        WRITE_SHA256,
    ),
    "a template without a column": (
        with_data(template="hello"),
        "spec.adapters[0].data.template",
        WRITE_COLUMN,
    ),
    "an empty template": (with_data(template=""), "spec.adapters[0].data.template", WRITE_COLUMN),
    "a template with nothing but written braces": (
        with_data(template="{{prompt}}"),
        "spec.adapters[0].data.template",
        WRITE_COLUMN,
    ),
    "a template with a lone brace": (
        with_data(template='{"question": {prompt}}'),
        "spec.adapters[0].data.template",
        WRITE_BRACES,
    ),
    "a template with a column without a name": (
        with_data(template="{} {prompt}"),
        "spec.adapters[0].data.template",
        WRITE_BRACES,
    ),
    "every row held out": (
        with_data(evalSplit=1),
        "spec.adapters[0].data.evalSplit",
        "write the part of the rows to hold out, from 0 to 0.9, such as 0.1",
    ),
    # Training
    "rank 0": (with_lora(rank=0), "spec.adapters[0].lora.rank", "greater than or equal to 1"),
    "alpha 0": (with_lora(alpha=0), "spec.adapters[0].lora.alpha", "greater than 0"),
    "negative steps": (
        with_lora(maxSteps=-5),
        "spec.adapters[0].lora.maxSteps",
        "greater than or equal to 1",
    ),
    "no batch": (
        with_lora(batchSize=0),
        "spec.adapters[0].lora.batchSize",
        "greater than or equal to 1",
    ),
    "a learning rate of 2": (
        with_lora(learningRate=2),
        "spec.adapters[0].lora.learningRate",
        "less than or equal to 1",
    ),
    "a learning rate that YAML reads as text": (
        with_lora(learningRate="1e-4"),
        "spec.adapters[0].lora.learningRate",
        'must be of type number: "string"',
    ),
    "rows of no token": (
        with_lora(maxLength=0),
        "spec.adapters[0].lora.maxLength",
        "greater than or equal to 8",
    ),
    "a negative seed": (
        with_lora(seed=-1),
        "spec.adapters[0].lora.seed",
        "greater than or equal to 0",
    ),
    "every input dropped": (
        with_lora(dropout=1),
        "spec.adapters[0].lora.dropout",
        "write the part of the inputs to leave out, from 0 to 0.9, such as 0.05",
    ),
    "a rank stabilized by what": (
        with_lora(rankStabilized="yes"),
        "spec.adapters[0].lora.rankStabilized",
        YES,
    ),
    "modules by a pattern": (
        with_lora(targetModules=["q_proj", ".*_proj"]),
        "spec.adapters[0].lora.targetModules[1]",
        WRITE_MODULE,
    ),
    "a module twice": (
        with_lora(targetModules=["q_proj", "q_proj"]),
        "spec.adapters[0].lora.targetModules[1]",
        'Duplicate value: "q_proj"',
    ),
    "no module by an empty name": (
        with_lora(excludeModules=[""]),
        "spec.adapters[0].lora.excludeModules[0]",
        WRITE_MODULE,
    ),
    "a layer before the first": (
        with_lora(layersToTransform=[-1]),
        "spec.adapters[0].lora.layersToTransform[0]",
        "greater than or equal to 0",
    ),
    "ranks in a list": (
        with_lora(rankPattern=[8]),
        "spec.adapters[0].lora.rankPattern",
        'must be of type object: "array"',
    ),
    "rank 0 for some": (
        with_lora(rankPattern={"q_proj": 0}),
        "spec.adapters[0].lora.rankPattern.q_proj",
        "greater than or equal to 1",
    ),
    "alphas for more than are told apart": (
        with_lora(alphaPattern={f"m{n}": 16 for n in range(65)}),
        "spec.adapters[0].lora.alphaPattern",
        "must have at most 64 items",
    ),
    "packing for yes": (with_lora(packing="yes"), "spec.adapters[0].lora.packing", YES),
    "checkpoints for yes": (
        with_lora(gradientCheckpointing="yes"),
        "spec.adapters[0].lora.gradientCheckpointing",
        YES,
    ),
    "warm-up in steps": (
        with_lora(warmupRatio=10),
        "spec.adapters[0].lora.warmupRatio",
        "less than or equal to 1",
    ),
    "a schedule that we do not have": (
        with_lora(schedule="polynomial"),
        "spec.adapters[0].lora.schedule",
        'supported values: "linear", "cosine", "constant", "constant_with_warmup"',
    ),
    "a decay that grows": (
        with_lora(weightDecay=-0.1),
        "spec.adapters[0].lora.weightDecay",
        "greater than or equal to 0",
    ),
    # Export, evaluation, serving
    "export for an NPU": (
        job(export={"device": "npu"}),
        "spec.export.device",
        'Unsupported value: "npu": supported values: "cpu", "gpu"',
    ),
    "export for DirectML": (
        job(export={"provider": "DmlExecutionProvider"}),
        "spec.export.provider",
        'supported values: "CPUExecutionProvider", "CUDAExecutionProvider"',
    ),
    "export for a GPU by the CPU's provider": (
        job(export={"device": "gpu"}),
        "spec.export.provider",
        DEVICE_AND_PROVIDER,
    ),
    "a head of two bits": (
        job(export={"head": "int2"}),
        "spec.export.head",
        'supported values: "int4", "int8", "fp16"',
    ),
    "activations of two bytes": (
        job(export={"activations": "float16"}),
        "spec.export.activations",
        'supported values: "int8", "float32"',
    ),
    "serving what is for a GPU": (
        job(export=CUDA, serve={}),
        "spec.serve",
        "the serving runs on CPUs; leave serve out, or export for device cpu",
    ),
    "evaluation without an adapter": (job(evaluate={}), "spec", EVALUATE_DATA),
    "evaluation without data": (
        job(evaluate={}, adapters=[{"name": "travel", "source": "hf://someone/lora"}]),
        "spec",
        EVALUATE_DATA,
    ),
    "evaluation on no held-out rows": (
        job(evaluate={}, adapters=[adapter(data={**DATA, "evalSplit": 0})]),
        "spec",
        "evaluate measures on the held-out rows of every adapter's data; "
        "set evalSplit of each above 0, or leave evaluate out",
    ),
    "evaluation on no rows": (
        job(evaluate={"samples": 0}, adapters=[adapter()]),
        "spec.evaluate.samples",
        "greater than or equal to 1",
    ),
    "a reference for yes": (
        job(evaluate={"reference": "yes"}, adapters=[adapter()]),
        "spec.evaluate.reference",
        YES,
    ),
    "data of an evaluation of an unknown kind": (
        with_evaluation_data(source="ftp://host/rows"),
        "spec.evaluate.data.source",
        WRITE_DATA,
    ),
    "credentials for a web page": (
        with_evaluation_data(source="https://host/rows", secretRef="s3-keys"),
        "spec.evaluate.data.secretRef",
        NO_CREDENTIALS,
    ),
    "data of an evaluation with another hash": (
        with_evaluation_data(sha256="sha256:" + "a" * 57),
        "spec.evaluate.data.sha256",
        WRITE_SHA256,
    ),
    "data of an evaluation without a column": (
        with_evaluation_data(template="once"),
        "spec.evaluate.data.template",
        WRITE_COLUMN,
    ),
    "rows of an evaluation of one token": (
        with_evaluation_data(maxLength=1),
        "spec.evaluate.data.maxLength",
        "greater than or equal to 8",
    ),
    # Gates
    "a gate on what is not measured": (
        with_gate(metric="accuracy", min=1),
        "spec.evaluate.gates[0].metric",
        'supported values: "perplexity", "exactMatch", "f1"',
    ),
    "a gate without a bound": (
        with_gate(metric="perplexity"),
        "spec.evaluate.gates[0].min",
        "Required value",
    ),
    "a bound in GB": (
        with_gate(metric="sizeBytes", max="3GB"),
        "spec.evaluate.gates[0].max",
        "should match",
    ),
    "a bound for yes": (
        with_gate(metric="perplexity", max=True),
        "<nil>",
        '"spec.evaluate.gates[0].max" must not validate the schema (not)',
    ),
    "a bound in a list": (
        with_gate(metric="perplexity", max=[9, 10]),
        "spec.evaluate.gates[0].max",
        "must have at most 0 items",
    ),
    "no bound in a list": (
        with_gate(metric="perplexity", min=[]),
        "spec.evaluate.gates[0].min",
        "should have at least 1 items",
    ),
    "a bound in an object": (
        with_gate(metric="perplexity", min={"a number or a quantity": 9}),
        "spec.evaluate.gates[0].min",
        "must have at most 0 items",
    ),
    "no bound in an object": (
        with_gate(metric="perplexity", min={}),
        "spec.evaluate.gates[0].min.a number or a quantity",
        "Required value",
    ),
    "two gates on one metric": (
        job(
            adapters=[adapter()],
            evaluate={"gates": [{"metric": "f1", "min": 0}, {"metric": "f1", "max": 1}]},
        ),
        "spec.evaluate.gates[1]",
        'Duplicate value: {"metric":"f1"}',
    ),
    "a comparison with a model that is not changed": (
        with_gate(metric="perplexityChange", max=0.1),
        "spec.evaluate.gates",
        COMPARED,
    ),
    "a comparison without the reference": (
        job(
            quantize={},
            adapters=[adapter()],
            evaluate={
                "reference": False,
                "gates": [{"metric": "originalPerplexity", "max": 9}],
            },
        ),
        "spec.evaluate.gates",
        COMPARED,
    ),
    "negative replicas": (
        job(serve={"replicas": -1}),
        "spec.serve.replicas",
        "greater than or equal to 0",
    ),
    "a number beside autoscaling": (
        job(serve={"replicas": 2, "autoscaling": {"maxReplicas": 3}}),
        "spec.serve.replicas",
        "autoscaling decides how many pods serve; leave replicas out, or autoscaling",
    ),
    "more than the most": (
        job(serve={"autoscaling": {"minReplicas": 4, "maxReplicas": 3}}),
        "spec.serve.autoscaling.minReplicas",
        "minReplicas is above maxReplicas; raise maxReplicas, or lower minReplicas",
    ),
    "the least by itself": (
        job(serve={"autoscaling": {"minReplicas": 4}}),
        "spec.serve.autoscaling.maxReplicas",
        "Required value",
    ),
    "autoscaling to nothing": (
        job(serve={"autoscaling": {"minReplicas": 0, "maxReplicas": 3}}),
        "spec.serve.autoscaling.minReplicas",
        "greater than or equal to 1",
    ),
    "more pods for nobody": (
        job(serve={"autoscaling": {"maxReplicas": 3, "waitingRequests": 0}}),
        "spec.serve.autoscaling.waitingRequests",
        "greater than or equal to 1",
    ),
    "a local copy as large as it likes": (
        job(serve={"localCopy": {}}),
        "spec.serve.localCopy.sizeLimit",
        "Required value",
    ),
    "a local copy in no room": (
        job(serve={"localCopy": {"sizeLimit": 0}}),
        "spec.serve.localCopy.sizeLimit",
        "write a quantity above 0, such as 200Gi",
    ),
    "a local copy in GB": (
        job(serve={"localCopy": {"sizeLimit": "20GB"}}),
        "spec.serve.localCopy.sizeLimit",
        "write a quantity above 0, such as 200Gi",
    ),
    "a local copy above the limit of the pod": (
        job(
            serve={
                "resources": {"limits": {"ephemeral-storage": "10Gi"}},
                "localCopy": {"sizeLimit": "20Gi"},
            }
        ),
        "spec.serve.localCopy.sizeLimit",
        "the copy counts towards resources.limits.ephemeral-storage, and a pod that takes more "
        "is evicted; raise that limit, or lower sizeLimit",
    ),
    "an API key instead of a Secret": (
        job(serve={"apiKeys": {"secretRef": "sk_4Fq"}}),
        "spec.serve.apiKeys.secretRef",
        WRITE_SECRET,
    ),
    "keys without a Secret": (
        job(serve={"apiKeys": {}}),
        "spec.serve.apiKeys.secretRef",
        "Required value",
    ),
    "a page for yes": (job(serve={"page": "yes"}), "spec.serve.page", YES),
    "a route from nowhere": (
        job(serve={"route": {"parentRefs": []}}),
        "spec.serve.route.parentRefs",
        "should have at least 1 items",
    ),
    "a gateway in capitals": (
        with_parent(name="Public"),
        "spec.serve.route.parentRefs[0].name",
        WRITE_NAME,
    ),
    "a gateway's namespace with a dot": (
        with_parent(name="public", namespace="a.b"),
        "spec.serve.route.parentRefs[0].namespace",
        WRITE_LABEL,
    ),
    "a listener without a name": (
        with_parent(name="public", sectionName=""),
        "spec.serve.route.parentRefs[0].sectionName",
        WRITE_NAME,
    ),
    "a host as a URL": (
        job(serve={"route": {"parentRefs": [{"name": "a"}], "hostnames": ["https://a.b"]}}),
        "spec.serve.route.hostnames[0]",
        "write a host in lower-case letters, such as travel.example.com or *.example.com",
    ),
    "a number in words": (
        job(serve={"resources": {"requests": {"cpu": "two"}}}),
        "spec.serve.resources.requests[cpu]",
        WRITE_QUANTITY,
    ),
    "bytes as GB": (
        job(serve={"resources": {"limits": {"memory": "8GB"}}}),
        "spec.serve.resources.limits[memory]",
        WRITE_QUANTITY,
    ),
    "a negative quantity": (
        job(serve={"resources": {"requests": {"cpu": -2}}}),
        "spec.serve.resources.requests[cpu]",
        WRITE_QUANTITY,
    ),
    "a resource without its domain": (
        job(serve={"resources": {"limits": {"gpu": 1}}}),
        "spec.serve.resources.limits",
        "write cpu, memory, ephemeral-storage, or a resource with its domain, "
        "such as nvidia.com/gpu",
    ),
    "a request above its limit": (
        job(serve={"resources": {"requests": {"cpu": 2}, "limits": {"cpu": "1500m"}}}),
        "spec.serve.resources",
        "a request is above its limit; raise the limit, or lower the request",
    ),
    # GPUs
    "a resource that no node offers": (
        job(gpu={"resource": "gpu"}),
        "spec.gpu.resource",
        "write a resource that nodes offer, such as nvidia.com/gpu",
    ),
    "fewer GPUs than none": (
        job(gpu={"count": -1}),
        "spec.gpu.count",
        "greater than or equal to 0",
    ),
    "products of no GPU": (
        job(gpu={"count": 0, "products": ["NVIDIA-A10"]}),
        "spec.gpu.products",
        "products names GPUs but gpu.count is 0; set count to 1 or more, or leave products out",
    ),
    "a product with a space": (
        job(gpu={"products": ["NVIDIA A10"]}),
        "spec.gpu.products[0]",
        "write a value of the node label nvidia.com/gpu.product, such as NVIDIA-A10 "
        '("-" for spaces)',
    ),
    "a product twice": (
        job(gpu={"products": ["NVIDIA-A10", "NVIDIA-A10"]}),
        "spec.gpu.products[1]",
        'Duplicate value: "NVIDIA-A10"',
    ),
    "a toleration's key with a space": (
        with_toleration(key="my gpus"),
        "spec.gpu.tolerations[0].key",
        "write the key of a taint, such as nvidia.com/gpu",
    ),
    "a toleration without a key": (
        with_toleration(value="yes"),
        "spec.gpu.tolerations[0]",
        "write the key of the taint, or operator Exists to tolerate every taint",
    ),
    "a toleration's operator in small letters": (
        with_toleration(key="gpu", operator="exists"),
        "spec.gpu.tolerations[0].operator",
        'supported values: "Exists", "Equal"',
    ),
    "a value that is not compared": (
        with_toleration(key="gpu", operator="Exists", value="yes"),
        "spec.gpu.tolerations[0].value",
        "operator Exists compares no value; leave value out, or write operator Equal",
    ),
    "a toleration's value with a space": (
        with_toleration(key="gpu", value="oh yes"),
        "spec.gpu.tolerations[0].value",
        'write the value of a taint (letters, digits, "-", "_" and ".")',
    ),
    "a toleration's effect misspelt": (
        with_toleration(key="gpu", effect="NoRun"),
        "spec.gpu.tolerations[0].effect",
        'supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
    ),
    "a toleration with a time that does not pass": (
        with_toleration(key="gpu", tolerationSeconds=5),
        "spec.gpu.tolerations[0].tolerationSeconds",
        "only taints of effect NoExecute have a time; write effect NoExecute, "
        "or leave tolerationSeconds out",
    ),
    # Storage
    "a size for a claim that is there": (
        job(storage={"claim": "olive", "size": "1Gi"}),
        "spec.storage",
        OTHERS_CLAIM,
    ),
    "an access mode for a claim that is there": (
        job(storage={"claim": "olive", "accessMode": "ReadWriteMany"}),
        "spec.storage",
        OTHERS_CLAIM,
    ),
    "a claim in capitals": (job(storage={"claim": "Olive"}), "spec.storage.claim", WRITE_NAME),
    "a size in GB": (
        job(storage={"size": "10GB"}),
        "spec.storage.size",
        "write a quantity above 0, such as 200Gi",
    ),
    "no size": (
        job(storage={"size": 0}),
        "spec.storage.size",
        "write a quantity above 0, such as 200Gi",
    ),
    "a storage class with a space": (
        job(storage={"storageClassName": "premium files"}),
        "spec.storage.storageClassName",
        WRITE_NAME,
    ),
    "an access mode abbreviated": (
        job(storage={"accessMode": "RWX"}),
        "spec.storage.accessMode",
        'supported values: "ReadWriteOnce", "ReadWriteMany"',
    ),
    # Retries and time limits
    "fewer retries than none": (
        job(retry={"limit": -1}),
        "spec.retry.limit",
        "greater than or equal to 0",
    ),
    "retries for ever": (
        job(retry={"limit": 101}),
        "spec.retry.limit",
        "less than or equal to 100",
    ),
    "a wait as a number": (
        job(retry={"backoff": 30}),
        "spec.retry.backoff",
        'must be of type string: "integer"',
    ),
    "a wait without a unit": (job(retry={"backoff": "30"}), "spec.retry.backoff", WRITE_DURATION),
    "a wait of nothing": (job(retry={"backoff": ""}), "spec.retry.backoff", WRITE_DURATION),
    "a fraction of an hour": (
        job(timeouts={"fetch": "1.5h"}),
        "spec.timeouts.fetch",
        WRITE_DURATION,
    ),
    "minutes before hours": (
        job(timeouts={"check": "30m1h"}),
        "spec.timeouts.check",
        WRITE_DURATION,
    ),
    "weeks": (job(timeouts={"quantize": "1w"}), "spec.timeouts.quantize", WRITE_DURATION),
    "milliseconds": (
        job(timeouts={"workflow": "500ms"}),
        "spec.timeouts.workflow",
        WRITE_DURATION,
    ),
    "a unit in capitals": (job(timeouts={"export": "4H"}), "spec.timeouts.export", WRITE_DURATION),
    "no time to train": (job(timeouts={"finetune": "0s"}), "spec.timeouts.finetune", ABOVE_ZERO),
    "time that runs backwards": (
        job(timeouts={"adapter": "-1h"}),
        "spec.timeouts.adapter",
        WRITE_DURATION,
    ),
    "a limit in words": (
        job(timeouts={"reference": "two hours"}),
        "spec.timeouts.reference",
        WRITE_DURATION,
    ),
    "no limit": (job(timeouts={"evaluate": "0d0h"}), "spec.timeouts.evaluate", ABOVE_ZERO),
    "a deadline with a space": (
        job(progressDeadline="30 m"),
        "spec.progressDeadline",
        WRITE_DURATION,
    ),
    "a day for every digit": (
        job(ttlAfterFinished="99999d"),
        "spec.ttlAfterFinished",
        WRITE_DURATION,
    ),
    "an end to what serves": (
        job(serve={}, ttlAfterFinished="7d"),
        "spec.ttlAfterFinished",
        "a job that serves does not finish; leave ttlAfterFinished or serve out",
    ),
    "a limit for publishing in words": (
        job(timeouts={"publish": "an hour"}),
        "spec.timeouts.publish",
        WRITE_DURATION,
    ),
    # Publishing
    "publishing nowhere": (
        job(publish={}),
        "spec.publish",
        "should have at least 1 properties",
    ),
    "a version of no model": (
        job(publish={"azureML": {"registry": "models"}}),
        "spec.publish.azureML.model",
        "Required value",
    ),
    "a model's name with a slash": (
        published_to_azure(model="team/travel", registry="models"),
        "spec.publish.azureML.model",
        WRITE_AZURE_NAME,
    ),
    "a model nowhere": (published_to_azure(), "spec.publish.azureML", ONE_PLACE),
    "a model at two places": (
        published_to_azure(registry="models", **AT_WORKSPACE),
        "spec.publish.azureML",
        ONE_PLACE,
    ),
    "a workspace without its subscription": (
        published_to_azure(workspace="slm", resourceGroup="ml"),
        "spec.publish.azureML.workspace",
        BY_SUBSCRIPTION,
    ),
    "a workspace without its resource group": (
        published_to_azure(workspace="slm", subscription=UUID),
        "spec.publish.azureML.workspace",
        BY_SUBSCRIPTION,
    ),
    "a registry in a subscription": (
        published_to_azure(registry="models", subscription=UUID),
        "spec.publish.azureML.registry",
        BY_NAME,
    ),
    "a registry in a resource group": (
        published_to_azure(registry="models", resourceGroup="ml"),
        "spec.publish.azureML.registry",
        BY_NAME,
    ),
    "a registry by its address": (
        published_to_azure(registry="azureml://registries/models"),
        "spec.publish.azureML.registry",
        WRITE_AZURE_NAME,
    ),
    "a workspace that begins with a dash": (
        published_to_azure(**{**AT_WORKSPACE, "workspace": "-slm"}),
        "spec.publish.azureML.workspace",
        WRITE_AZURE_NAME,
    ),
    "a subscription by its name": (
        published_to_azure(**{**AT_WORKSPACE, "subscription": "pay as you go"}),
        "spec.publish.azureML.subscription",
        WRITE_UUID,
    ),
    "a subscription without dashes": (
        published_to_azure(**{**AT_WORKSPACE, "subscription": UUID.replace("-", "")}),
        "spec.publish.azureML.subscription",
        WRITE_UUID,
    ),
    "a resource group with a slash": (
        published_to_azure(**{**AT_WORKSPACE, "resourceGroup": "ml/prod"}),
        "spec.publish.azureML.resourceGroup",
        'write letters, digits, "-", "_", "." and parentheses, not ending with "."',
    ),
    "a resource group that ends with a dot": (
        published_to_azure(**{**AT_WORKSPACE, "resourceGroup": "ml."}),
        "spec.publish.azureML.resourceGroup",
        'write letters, digits, "-", "_", "." and parentheses, not ending with "."',
    ),
    "a type that Azure ML has, and we do not": (
        published_to_azure(registry="models", type="triton"),
        "spec.publish.azureML.type",
        'supported values: "custom", "mlflow"',
    ),
    "a description that is a book": (
        published_to_azure(registry="models", description="x" * 4097),
        "spec.publish.azureML.description",
        "Too long: may not be more than 4096",
    ),
    "tags as a list": (
        published_to_azure(registry="models", tags=["ml"]),
        "spec.publish.azureML.tags",
        'must be of type object: "array"',
    ),
    "a repository without its owner": (
        published_to_hub(repository="travel"),
        "spec.publish.huggingFace.repository",
        "write OWNER/NAME",
    ),
    "a repository by its address": (
        published_to_hub(repository="hf://acme/travel"),
        "spec.publish.huggingFace.repository",
        "write OWNER/NAME",
    ),
    "a hub without a token": (
        job(publish={"huggingFace": {"repository": "acme/travel"}}),
        "spec.publish.huggingFace.secretRef",
        "Required value",
    ),
    "a token of the hub for the name of its Secret": (
        published_to_hub(secretRef="hf_AbCdEf"),
        "spec.publish.huggingFace.secretRef",
        WRITE_SECRET,
    ),
    "a branch with a space": (
        published_to_hub(branch="my branch"),
        "spec.publish.huggingFace.branch",
        "write the name of a branch",
    ),
    "private for yes": (
        published_to_hub(private="yes"),
        "spec.publish.huggingFace.private",
        YES,
    ),
    "an image without a tag": (
        published_to_registry(reference="registry.example.com/models/travel"),
        "spec.publish.oci.reference",
        WRITE_REFERENCE,
    ),
    "an image by its digest": (
        published_to_registry(reference=f"registry.example.com/travel@sha256:{'0' * 64}"),
        "spec.publish.oci.reference",
        WRITE_REFERENCE,
    ),
    "an image with a scheme": (
        published_to_registry(reference="oci://registry.example.com/travel:v1"),
        "spec.publish.oci.reference",
        WRITE_REFERENCE,
    ),
    "an image without a registry": (
        published_to_registry(reference="travel:v1"),
        "spec.publish.oci.reference",
        WRITE_REFERENCE,
    ),
    "an image's path in capitals": (
        published_to_registry(reference="registry.example.com/Travel:v1"),
        "spec.publish.oci.reference",
        WRITE_REFERENCE,
    ),
    "a password for the name of a registry's Secret": (
        published_to_registry(secretRef="User:Password"),
        "spec.publish.oci.secretRef",
        WRITE_SECRET,
    ),
    # Who it is at Azure
    "an identity without its tenant": (
        job(azure={"clientID": UUID}),
        "spec.azure",
        BOTH_IDS,
    ),
    "a tenant without an identity": (job(azure={"tenantID": UUID}), "spec.azure", BOTH_IDS),
    "an identity by its name": (
        job(azure={"clientID": "olive-identity", "tenantID": UUID}),
        "spec.azure.clientID",
        WRITE_UUID,
    ),
    "a tenant by its domain": (
        job(azure={"clientID": UUID, "tenantID": "contoso.onmicrosoft.com"}),
        "spec.azure.tenantID",
        WRITE_UUID,
    ),
    "two identities": (
        job(azure={"clientID": UUID, "tenantID": UUID, "secretRef": "principal"}),
        "spec.azure.secretRef",
        "secretRef is a service principal's, clientID a workload identity's; give one of the two",
    ),
    "an account of another namespace": (
        job(azure={"serviceAccountName": "other/olive"}),
        "spec.azure.serviceAccountName",
        WRITE_NAME,
    ),
    # Who goes first
    "a queue in capitals": (job(queue="TeamA"), "spec.queue", WRITE_NAME),
    "a queue without a name": (job(queue=""), "spec.queue", WRITE_NAME),
    "a priority as a number": (
        job(priorityClassName=1000),
        "spec.priorityClassName",
        'must be of type string: "integer"',
    ),
    "a priority with a space": (
        job(priorityClassName="very high"),
        "spec.priorityClassName",
        WRITE_NAME,
    ),
    "suspended for yes": (job(suspend="yes"), "spec.suspend", YES),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_is_refused(crds: Kubectl, mistake: str) -> None:
    manifest, field, message = MISTAKES[mistake]
    refusal = crds.refusal(manifest)
    # One error follows "is invalid: " on the line; of several, each has a line with a bullet.
    errors = refusal.partition(" is invalid: ")[2].strip().removeprefix("* ").split("\n* ")
    assert [e for e in errors if e.startswith(f"{field}: ") and message in e], refusal


@pytest.mark.parametrize(
    ("field", "manifest"),
    {
        "spec.quantise": job(quantise={}),
        "spec.adapters[0].lora.ranks": with_lora(ranks=8),
        "spec.serve.resources.request": job(serve={"resources": {"request": {}}}),
        "spec.storage.pvc": job(storage={"pvc": "olive"}),
        "spec.timeouts.serve": job(timeouts={"serve": "1h"}),
        "spec.retries": job(retries=3),
    }.items(),
)
def test_field_that_is_not_known_is_refused(crds: Kubectl, field: str, manifest: Manifest) -> None:
    assert f'strict decoding error: unknown field "{field}"' in crds.refusal(manifest)


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = yaml.safe_load(CRD.read_text())
    return schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"]  # type: ignore[no-any-return]


def _leaves(schema: Any, path: str) -> set[str]:
    """The fields that hold no other fields."""
    inside = schema.get("items", schema)
    if not (properties := inside.get("properties")):
        return {path}
    return {leaf for name, part in properties.items() for leaf in _leaves(part, f"{path}.{name}")}


def _messages(schema: Any) -> set[str]:
    """Every message of a rule."""
    if isinstance(schema, list):
        return {m for part in schema for m in _messages(part)}
    if not isinstance(schema, dict):
        return set()
    rules = schema.get("x-kubernetes-validations", [])
    own = {rule["message"] for rule in rules if "message" in rule}
    return own.union(*(_messages(part) for part in schema.values()))


def test_every_field_can_be_got_wrong_here() -> None:
    tried = {re.sub(r"\[\w+\]", "", field) for _, field, _ in MISTAKES.values()}
    assert _leaves(_schema()["properties"]["spec"], "spec") - tried == set()


def test_every_rule_speaks_here() -> None:
    assert _messages(_schema()) - {message for _, _, message in MISTAKES.values()} == set()
