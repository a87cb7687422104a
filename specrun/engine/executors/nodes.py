"""Which of several machines this is, and where they meet: what the environment says, in torchrun's words or in ours."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from specrun.errors import UsageError

DEFAULT_PORT = 29500
"""Where torch meets by convention."""


@dataclass(frozen=True, slots=True)
class Node:
    """This machine among `count`. rank: 0 plans, records and saves. address, port: of the machine of rank 0."""

    rank: int = 0
    count: int = 1
    address: str = "127.0.0.1"
    port: int = DEFAULT_PORT


def this_node(count: int, environment: Mapping[str, str] = os.environ) -> Node:
    """This machine among so many. Raises: UsageError where the environment does not say which, or where they meet.

    Read: SPECRUN_RDZV_ENDPOINT (host:port), else MASTER_ADDR and MASTER_PORT; SPECRUN_NODE_RANK, else NODE_RANK, else SLURM_NODEID.
    """
    if count == 1:
        return Node()
    endpoint = environment.get("SPECRUN_RDZV_ENDPOINT") or _joined(environment.get("MASTER_ADDR"), environment.get("MASTER_PORT"))
    rank = next((environment[name] for name in ("SPECRUN_NODE_RANK", "NODE_RANK", "SLURM_NODEID") if environment.get(name)), None)
    if endpoint is None or rank is None:
        missing = "where the machines meet" if endpoint is None else "which of them this is"
        raise UsageError(f"hardware.nodes is {count}, but the environment does not say {missing}", code="node-not-named",
                         hint="set SPECRUN_RDZV_ENDPOINT=<host of node 0>:29500 and SPECRUN_NODE_RANK=0 (1, 2, ...)")  # fmt: skip
    host, _, port = endpoint.rpartition(":") if ":" in endpoint else (endpoint, "", str(DEFAULT_PORT))
    if not rank.isdecimal() or int(rank) >= count:
        raise UsageError(f"this machine's number is {rank}, but hardware.nodes is {count}", code="node-not-named",
                         hint=f"use SPECRUN_NODE_RANK=0 to {count - 1}")  # fmt: skip
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise UsageError(f"{endpoint!r} is no host:port", code="node-not-named", hint="use SPECRUN_RDZV_ENDPOINT=<host of node 0>:29500")
    return Node(int(rank), count, host, int(port))


def _joined(host: str | None, port: str | None) -> str | None:
    return None if not host else f"{host}:{port or DEFAULT_PORT}"
