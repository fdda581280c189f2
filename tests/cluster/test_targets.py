"""A target that could not work, or would leak a token, cannot be written down."""

from dataclasses import replace

import pytest

from cluster.catalogue import TARGETS, find
from cluster.targets import ExistingRay, KubeRayCluster, Node, Range, SlurmJob, is_loopback


def cluster() -> KubeRayCluster:
    target = find("kuberay-cluster")
    assert isinstance(target, KubeRayCluster)
    return target


def test_unknown_target_is_refused_with_a_suggestion() -> None:
    with pytest.raises(ValueError, match=r"'kuberay-jobs'; did you mean kuberay-job\?"):
        find("kuberay-jobs")
    with pytest.raises(ValueError, match="the targets are local, tunnel"):
        find("zzz")


def test_every_named_target_is_found_under_its_name() -> None:
    assert all(find(name).name == name for name in TARGETS)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:8265", "write the dashboard's"),
        ("ray://127.0.0.1:10001", "write the dashboard's"),
        ("http://user:secret@127.0.0.1:8265", "password in its address"),
        ("http://head.example.org:8265", "without encryption"),
        ("http://10.0.0.1:8265", "without encryption"),
    ],
)
def test_address_that_is_none_or_would_show_the_token_is_refused(address: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as error:
        ExistingRay(name="there", address=address, storage="/data")
    assert "secret" not in str(error.value)


def test_trusted_network_has_to_be_said() -> None:
    address = "http://10.0.0.1:8265"
    assert ExistingRay(name="there", address=address, storage="/data", allow_plain_http=True).address == address
    assert ExistingRay(name="there", address="https://head.example.org", storage="/data").storage == "/data"


@pytest.mark.parametrize("place", ["relative/path", "s3://bucket/runs", "/data; rm -rf /", "/data\n- evil"])
def test_storage_that_nodes_could_not_use_is_refused(place: str) -> None:
    with pytest.raises(ValueError, match=r"storage root|path"):
        ExistingRay(name="there", address="http://127.0.0.1:8265", storage=place)


@pytest.mark.parametrize(
    "change",
    [
        {"image": "harness"},
        {"image": "harness:1 --privileged"},
        {"namespace": "Not A Name"},
        {"token_secret": "name\nvalue: x"},
        {"preemptible_nodes": ("nodes.example.org/lifetime", "stable")},
        {"head": Node(cpus=4, memory_gib=16, gpus=1, gpu_gib=80)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_pods_that_could_not_be_or_would_lose_the_head_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"head|match|tag"):
        replace(cluster().pods, **change)  # type: ignore[arg-type]


def test_range_and_node_that_hold_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="3 to 2 workers"):
        Range(minimum=3, maximum=2)
    with pytest.raises(ValueError, match="0 to 0 workers"):
        Range(minimum=0, maximum=0)
    with pytest.raises(ValueError, match="runs nothing"):
        Node(cpus=0, memory_gib=1)
    with pytest.raises(ValueError, match="gpus and gpu_gib together"):
        Node(cpus=1, memory_gib=1, gpus=1)


def test_batch_job_without_nodes_or_with_a_shell_in_its_words_is_refused() -> None:
    slurm = find("slurm")
    assert isinstance(slurm, SlurmJob)
    for change in ({"partition": "gpu\n#SBATCH --uid=0"}, {"token_file": "$(cat /etc/passwd)"}, {"hours": 0}):
        with pytest.raises(ValueError, match="slurm"):
            replace(slurm, **change)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("127.0.0.1", True), ("::1", True), ("10.0.0.1", False), ("127.evil.example.org", False)],
)
def test_loopback_is_told_by_address_not_by_spelling(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected
