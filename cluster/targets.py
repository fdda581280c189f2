"""Where a study can run, as values that are checked when built. Nothing here reaches for a machine."""

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from studies.schema.storage import Storage

_DNS_LABEL = re.compile(r"^[a-z]([a-z0-9-]{0,40}[a-z0-9])?\Z")
_FILE = re.compile(r"^(~|/)[A-Za-z0-9._/~-]*\Z")
_WORD = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*\Z")


@dataclass(frozen=True, kw_only=True)
class Node:
    """What one machine or pod offers to Ray; ``gpu_gib`` is the memory of one accelerator."""

    cpus: int
    memory_gib: int
    gpus: int = 0
    gpu_gib: int = 0

    def __post_init__(self) -> None:
        if self.cpus < 1 or self.memory_gib < 1 or self.gpus < 0:
            raise ValueError(f"a node with {self.cpus} CPUs, {self.memory_gib} GiB and {self.gpus} GPUs runs nothing")
        if (self.gpus > 0) != (self.gpu_gib > 0):
            raise ValueError(
                f"a node with {self.gpus} GPUs says {self.gpu_gib} GiB for each; give gpus and gpu_gib together"
            )


@dataclass(frozen=True, kw_only=True)
class Range:
    """How many workers there are at least and at most; between the two an autoscaler, or a preemption, decides."""

    minimum: int
    maximum: int

    def __post_init__(self) -> None:
        if not 0 <= self.minimum <= self.maximum or self.maximum < 1:
            raise ValueError(
                f"a range of {self.minimum} to {self.maximum} workers; write 0 <= minimum <= maximum, maximum >= 1"
            )


@dataclass(frozen=True, kw_only=True)
class LocalRay:
    """A cluster on this machine, on loopback; ``python -m cluster up`` starts it."""

    name: str


@dataclass(frozen=True, kw_only=True)
class ExistingRay:
    """A Ray that somebody else runs, by the address of its dashboard.

    ``python`` is the interpreter on its nodes. Beyond loopback the address has to be https, because the token would
    travel readable; ``allow_plain_http`` says that the network is trusted.
    """

    name: str
    address: str
    storage: str
    python: str = "python"
    allow_plain_http: bool = False

    def __post_init__(self) -> None:
        check_address(self.name, self.address, allow_plain_http=self.allow_plain_http)
        check_place(self.name, self.storage)
        _match(self.name, "interpreter", self.python, _WORD if not self.python.startswith("/") else _FILE)


@dataclass(frozen=True, kw_only=True)
class Pods:
    """What KubeRay is told about pods.

    The head, where drivers run, goes to nodes labelled ``stable_nodes``, workers to ``preemptible_nodes``, whose taint
    of the same label they tolerate. ``token_secret`` and ``environment_secret`` are names of Kubernetes Secrets; their
    contents never pass through here. ``claim`` is a ReadWriteMany volume claim, mounted at ``storage`` in every pod.
    """

    namespace: str
    image: str
    token_secret: str
    claim: str
    storage: str
    head: Node
    worker_memory_gib: int
    workers: Range
    stable_nodes: tuple[str, str]
    preemptible_nodes: tuple[str, str]
    gpu_gib: int = 0
    environment_secret: str | None = None

    def __post_init__(self) -> None:
        for what in ("namespace", "token_secret", "claim", "environment_secret"):
            if (value := getattr(self, what)) is not None:
                _match("pods", what, value, _DNS_LABEL)
        _match("pods", "image", self.image, _WORD)
        check_place("pods", self.storage)
        if ":" not in self.image.rpartition("/")[2]:
            raise ValueError(
                f"image {self.image!r} has no tag and would change under a study; name one, {self.image}:1"
            )
        if self.stable_nodes == self.preemptible_nodes:
            raise ValueError(f"head and workers both go to {self.stable_nodes}; the head has to outlive preemptions")
        if self.head.gpus:
            raise ValueError("the head trains nothing and needs no GPU; set its gpus to 0")


@dataclass(frozen=True, kw_only=True)
class KubeRayCluster:
    """A RayCluster that stays; jobs go to its dashboard through ``address``, by default a ``kubectl port-forward``."""

    name: str
    pods: Pods
    address: str = "http://127.0.0.1:8265"

    def __post_init__(self) -> None:
        _match("target", "name", self.name, _DNS_LABEL)
        check_address(self.name, self.address)


@dataclass(frozen=True, kw_only=True)
class KubeRayJob:
    """A RayJob: a cluster of its own for one study, gone when the study ends, made again up to ``retries`` times."""

    name: str
    pods: Pods
    retries: int = 10

    def __post_init__(self) -> None:
        _match("target", "name", self.name, _DNS_LABEL)
        if self.retries < 0:
            raise ValueError(f"target {self.name} has {self.retries} retries; write 0 or more")


@dataclass(frozen=True, kw_only=True)
class RayVms:
    """Machines that Ray's launcher (``ray up``) makes at AWS: an on-demand head, workers on the spot market.

    ``nfs`` is HOST:/EXPORT, mounted at ``storage`` on every machine. ``token_file`` is a path on the machine that
    launches; the file is copied, its content never read here.
    """

    name: str
    region: str
    image: str
    head_type: str
    head: Node
    worker_type: str
    worker: Node
    workers: Range
    nfs: str
    storage: str
    token_file: str = "~/.ray/auth_token"
    address: str = "http://127.0.0.1:8265"

    def __post_init__(self) -> None:
        _match("target", "name", self.name, _DNS_LABEL)
        for what in ("region", "image", "head_type", "worker_type"):
            _match(self.name, what, getattr(self, what), _WORD)
        _match(self.name, "token_file", self.token_file, _FILE)
        _match(self.name, "nfs", self.nfs, re.compile(r"^[A-Za-z0-9.-]+:/[A-Za-z0-9._/-]*\Z"))
        check_place(self.name, self.storage)
        check_address(self.name, self.address)


@dataclass(frozen=True, kw_only=True)
class SlurmJob:
    """A batch job that starts Ray on its nodes, runs one study and ends; preempted, it saves and queues again.

    ``environment`` is the folder of the virtual environment and ``checkout`` that of the sources, both on a file
    system that every node sees. Of the ``nodes`` the first also carries the driver.
    """

    name: str
    partition: str
    nodes: Range
    node: Node
    hours: int
    checkout: str
    environment: str
    storage: str
    account: str | None = None
    token_file: str = "~/.ray/auth_token"
    notice_seconds: int = 300

    def __post_init__(self) -> None:
        _match("target", "name", self.name, _DNS_LABEL)
        for what in ("partition", "account"):
            if (value := getattr(self, what)) is not None:
                _match(self.name, what, value, _WORD)
        for what in ("checkout", "environment", "storage"):
            check_place(self.name, getattr(self, what))
        _match(self.name, "token_file", self.token_file, _FILE)
        if self.nodes.minimum < 1 or self.hours < 1 or self.notice_seconds < 1:
            raise ValueError(f"target {self.name}: nodes, hours and notice_seconds must be at least 1")


Target = LocalRay | ExistingRay | KubeRayCluster | KubeRayJob | RayVms | SlurmJob


def check_address(target: str, address: str, *, allow_plain_http: bool = False) -> None:
    """Raise ValueError unless ``address`` is a dashboard's, without credentials, on loopback or encrypted."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise ValueError(
            f"target {target} has address {address!r}; write the dashboard's, such as http://127.0.0.1:8265"
        )
    if parts.username or parts.password:
        raise ValueError(
            f"target {target} has a password in its address; addresses are shown and stored, so leave it out and keep "
            "the token in a file (RAY_AUTH_TOKEN_PATH)"
        )
    if parts.scheme == "http" and not allow_plain_http and not is_loopback(parts.hostname):
        raise ValueError(
            f"target {target} reaches {parts.hostname} without encryption, where the token can be read on the way; use "
            "https, or a tunnel (ssh -L 8265:127.0.0.1:8265 HOST) and http://127.0.0.1:8265, or say allow_plain_http"
        )


def check_place(target: str, place: str) -> None:
    """Raise ValueError unless ``place`` is an absolute path or file: URI made of plain characters."""
    path = str(Storage.at(place).root)
    if not _FILE.match(path):
        raise ValueError(f"target {target} has the path {place!r}; use letters, digits, '.', '_', '-' and '/'")


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine alone."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _match(target: str, what: str, value: str, pattern: re.Pattern[str]) -> None:
    if not pattern.match(value):
        raise ValueError(
            f"{target}: {what} {value!r} does not match {pattern.pattern}; change it in cluster/catalogue.py"
        )
