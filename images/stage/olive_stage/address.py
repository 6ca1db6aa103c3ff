"""Addresses: which may be read, and how one is shown without what is secret in it."""

import ipaddress
import os
import socket
from urllib.parse import urlsplit

HTTP_HOSTS = "OLIVE_HTTP_HOSTS"
"""Environment: comma-separated hosts that may be read over plain http (a test's own server)."""


def may_read(url: str) -> bool:
    """Whether the address is https, or http on a host that the environment allows."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    return bool(host) and (
        parts.scheme == "https" or (parts.scheme == "http" and is_test_host(host or ""))
    )


def is_test_host(host: str) -> bool:
    """Whether the environment allows this host to be read over plain http."""
    return host in os.environ.get(HTTP_HOSTS, "").split(",")


def shown(url: str) -> str:
    """The address without user, password and query."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be read"
    if not parts.netloc:
        return parts.path
    host = parts.hostname or ""
    if parts.scheme not in ("http", "https"):
        host = parts.netloc.rpartition("@")[2]  # a bucket or a claim: as it was written
    return f"{parts.scheme}://{host}{parts.path}"


def is_machine_own(url: str) -> bool:
    """Whether the address is this pod's own, or link-local, where clouds answer for their nodes.

    Private addresses are not: what stands behind them is what a job inside a company reads.
    """
    parts = urlsplit(url)
    if is_test_host(parts.hostname or ""):
        return False
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError:  # behind a proxy names may not resolve; otherwise the request says so
        return False
    return any(map(_is_own, {str(entry[4][0]).split("%")[0] for entry in found}))


def _is_own(text: str) -> bool:
    address = ipaddress.ip_address(text)
    address = getattr(address, "ipv4_mapped", None) or address
    return address.is_link_local or address.is_loopback or address.is_unspecified
