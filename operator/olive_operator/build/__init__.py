"""The manifests of children, one module per kind of child: pure, from values to plain JSON."""

from olive_operator.build.artifact import artifact
from olive_operator.build.attempt import attempt
from olive_operator.build.claim import claim
from olive_operator.build.pod import StoreMount
from olive_operator.build.serving import serving
from olive_operator.build.sweep import sweep

__all__ = ["StoreMount", "artifact", "attempt", "claim", "serving", "sweep"]
