"""Every label and annotation that the operator writes or reads."""

from typing import Final

GROUP: Final = "olive-operator.io"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
FIELD_MANAGER: Final = "olive-operator"

MANAGED_BY: Final = "app.kubernetes.io/managed-by"
COMPONENT: Final = "app.kubernetes.io/component"
JOB: Final = f"{GROUP}/job"
STAGE: Final = f"{GROUP}/stage"
ADAPTER: Final = f"{GROUP}/adapter"
ATTEMPT: Final = f"{GROUP}/attempt"

STAGE_NAME: Final = f"{GROUP}/stage-name"
"""Annotation: the stage's name in the graph, with its slash."""
ADDRESS: Final = f"{GROUP}/address"
"""Annotation: what the attempt is for, in full: the key, or a fetch's request."""
CLAIM: Final = f"{GROUP}/claim"
"""Annotation: the claim that the attempt works on."""
TEMPLATE: Final = f"{GROUP}/template"
"""Annotation: the hash of the attempt's pod, to see whether it would be made otherwise now."""
APPLIED: Final = f"{GROUP}/applied"
"""Annotation: the hash of the manifest as it was last applied."""
RETRY: Final = f"{GROUP}/retry"
"""Annotation of a job, set by people: any new value retries what has failed."""
