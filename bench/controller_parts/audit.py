"""What a client has asked of the API server, by the API server's audit log."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from controller_parts.cluster import SYSTEM

WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True)
class Request:
    """``at``: seconds since 1970 as RFC 3339 text, which sorts as time does."""

    at: str
    verb: str
    resource: str
    code: int

    @property
    def name(self) -> str:
        """As it is counted: ``create jobs``; what was refused says so."""
        refused = f" ({self.code})" if self.code >= 400 else ""
        return f"{self.verb} {self.resource}{refused}"


def requests(lines: Iterable[bytes], account: str) -> Iterator[Request]:
    """Those of a service account, each once: a watch is logged at its beginning and at its end."""
    who = f'"username":"system:serviceaccount:{SYSTEM}:{account}"'.encode()
    seen = set()
    for line in lines:
        if who not in line:
            continue
        found = json.loads(line)
        if found["auditID"] in seen:
            continue
        seen.add(found["auditID"])
        what = found.get("objectRef") or {"resource": found["requestURI"].partition("?")[0]}
        resource = "/".join(part for part in (what["resource"], what.get("subresource")) if part)
        code = (found.get("responseStatus") or {}).get("code", 0)
        yield Request(found["requestReceivedTimestamp"], found["verb"], resource, code)


def counted(asked: Iterable[Request], since: str = "", until: str = "9") -> dict[str, int]:
    """How often each was asked between two instants, the most frequent first."""
    tally = Counter(r.name for r in asked if since <= r.at < until)
    return dict(tally.most_common())


def written(tally: dict[str, int]) -> dict[str, int]:
    """Of these, the requests that may change something; the Lease is the replicas' own affair."""
    return {
        name: n for name, n in tally.items() if name.split()[0] in WRITES and "leases" not in name
    }
