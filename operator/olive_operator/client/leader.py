"""Which of several operators works: whoever holds the Lease, and renews it.

The rules are client-go's (k8s.io/client-go/tools/leaderelection): a holder is left alone until its
Lease has not changed for as long as it is good for, measured here, from when the change was seen;
so the clocks of two operators need not agree. Time is what this machine's clock has counted, sleep
included; the instants in the Lease are for people.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from olive_operator.client.apiserver import ApiError, ApiServer
from olive_operator.config import LeaseConfig

log = logging.getLogger("olive.leader")

_RELEASED: Final = 1
"""Seconds that a Lease is good for which nobody holds."""


class NotLeadingError(Exception):
    """This process may not change anything: its Lease has run out, or is another's."""


def boot_time() -> float:
    """Seconds since the machine's start; no one sets this clock, and it counts while it sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True)
class Observed:
    """The Lease as it was last seen to change, and when that was seen."""

    lease: dict[str, Any]
    at: float


class Leader:
    """Takes the Lease, keeps it, and gives it back."""

    def __init__(
        self,
        server: ApiServer,
        namespace: str,
        identity: str,
        config: LeaseConfig,
        clock: Callable[[], float] = boot_time,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._server, self._identity, self._config = server, identity, config
        self._clock, self._wall = clock, wall
        self._namespace = namespace
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
        self._observed: Observed | None = None
        self._good_until = 0.0
        self._silent = False

    def must_lead(self) -> None:
        """NotLeadingError unless the Lease is ours for certain; called before every write."""
        if self._clock() >= self._good_until:
            raise NotLeadingError("the Lease has run out")

    async def take(self) -> None:
        """Wait until nobody else holds the Lease, and take it."""
        while not await self.ask():  # noqa: ASYNC110 - it happens elsewhere
            await asyncio.sleep(self._config.retrySeconds * random.uniform(1, 1.2))  # noqa: S311

    async def keep(self) -> None:
        """Renew the Lease for ever. NotLeadingError when it is lost."""
        while True:
            await asyncio.sleep(self._config.retrySeconds)
            self.must_lead()
            await self.ask()
            holder = _spec(self._observed).get("holderIdentity")
            if holder != self._identity:
                raise NotLeadingError(f"{holder or 'nobody'} holds the Lease")
            self.must_lead()

    async def give_back(self) -> None:
        """Let the next one take over at once; only after everything of ours has ended."""
        self._good_until = 0.0
        try:
            async with asyncio.timeout(self._config.renewSeconds / 2):
                while await self._holds():
                    free = {"holderIdentity": "", "leaseDurationSeconds": _RELEASED}
                    await self._written(self._replace({**_spec(self._observed), **free}))
        except (ApiError, TimeoutError) as error:
            log.warning("the Lease could not be given back: %s", error or "no answer")

    async def _holds(self) -> bool:
        """Whether the Lease is ours by what is written: a renewal may have come too late."""
        found = await self._read()
        if found:
            self._observe(found)
        return found is not None and _spec(self._observed).get("holderIdentity") == self._identity

    async def ask(self) -> bool:
        """Ask for the Lease once, as its holder or not; whether it is ours now.

        What the API server does not answer changes nothing.
        """
        asked = self._clock()
        try:
            async with asyncio.timeout(self._config.renewSeconds / 2):
                ours = await self._try()
        except (ApiError, TimeoutError) as error:
            if not self._silent:
                log.warning("the Lease cannot be asked for: %s; trying on", error or "no answer")
            self._silent = True
            return False
        self._silent = False
        if ours:
            self._good_until = asked + self._config.renewSeconds
        return ours

    async def _try(self) -> bool:
        now = _micro(self._wall())
        ours = {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(round(self._config.seconds), 1),
            "renewTime": now,
        }
        found = await self._read()
        if found is None:
            return await self._written(
                self._create({**ours, "acquireTime": now, "leaseTransitions": 0})
            )
        self._observe(found)
        held = found.get("spec") or {}
        holder = held.get("holderIdentity") or ""
        if holder == self._identity:
            return await self._written(self._replace({**held, **ours}))
        if holder and not self._expired(held):
            return False
        turns = (held.get("leaseTransitions") or 0) + 1
        taken = {**ours, "acquireTime": now, "leaseTransitions": turns}
        return await self._written(self._replace(taken))

    async def _written(self, write: Any) -> bool:
        """Whether nobody was faster: the write names the version that it replaces."""
        try:
            self._observe(await write)
        except ApiError as error:
            if error.status == 409:
                return False
            raise
        return True

    def _observe(self, lease: dict[str, Any]) -> None:
        if self._observed is None or self._observed.lease.get("spec") != lease.get("spec"):
            self._observed = Observed(lease, self._clock())
        else:
            self._observed = Observed(lease, self._observed.at)

    def _expired(self, held: dict[str, Any]) -> bool:
        """It has not changed for as long as its holder, or we, say that a Lease is good for."""
        assert self._observed is not None  # noqa: S101
        good_for = max(held.get("leaseDurationSeconds") or 0, self._config.seconds)
        return self._clock() >= self._observed.at + good_for

    async def _read(self) -> dict[str, Any] | None:
        try:
            return await self._server.request("GET", f"{self._path}/{self._config.name}")
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def _create(self, spec: dict[str, Any]) -> dict[str, Any]:
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._config.name, "namespace": self._namespace},
            "spec": spec,
        }
        return await self._server.request("POST", self._path, body)

    async def _replace(self, spec: dict[str, Any]) -> dict[str, Any]:
        assert self._observed is not None  # noqa: S101
        body = {**self._observed.lease, "spec": spec}
        return await self._server.request("PUT", f"{self._path}/{self._config.name}", body)


def _spec(observed: Observed | None) -> dict[str, Any]:
    found: dict[str, Any] = (observed.lease.get("spec") or {}) if observed else {}
    return found


def _micro(at: datetime) -> str:
    """A MicroTime: RFC 3339 in UTC, always with six digits behind the point."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
