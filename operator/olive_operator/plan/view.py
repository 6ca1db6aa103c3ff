"""What is known of one stage in one pass, gathered for the small functions that decide about it."""

from dataclasses import dataclass
from datetime import datetime

from olive_operator.api.seen import AttemptSeen, Seen
from olive_operator.api.stage import Address, Stage
from olive_operator.api.status import StageStatus
from olive_operator.config import Config


@dataclass(frozen=True)
class View:
    """``before`` is its last status, ``attempt`` the latest that is not dealt with yet."""

    stage: Stage
    address: Address
    before: StageStatus
    attempt: AttemptSeen | None
    seen: Seen
    config: Config
    now: datetime
