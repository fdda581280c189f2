"""The image that pods and virtual machines run: this checkout, installed with the versions of constraints.txt."""

from cluster.kuberay import USER

# KubeRay's health checks call wget. The packages are found through PYTHONPATH, so that sources sent with a job, which
# Ray puts before it, are the ones that run.
_DOCKERFILE = """\
# docker build --file cluster/rendered/Dockerfile --tag clir-scaling-harness:0.1.0 .
# For torch without CUDA: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu
FROM python:3.11-slim-bookworm

RUN apt-get update \\
 && apt-get install --yes --no-install-recommends gcc libc6-dev openssh-client rsync wget \\
 && rm -rf /var/lib/apt/lists/* \\
 && useradd --uid {user} --user-group --create-home ray

ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1 RAY_USAGE_STATS_ENABLED=0
WORKDIR /opt/harness
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir studies && touch studies/__init__.py \\
 && pip install --constraint constraints.txt ${{TORCH_INDEX:+--extra-index-url "$TORCH_INDEX"}} . \\
 && pip uninstall --yes clir-scaling-harness \\
 && rm -rf studies build *.egg-info

COPY studies studies
COPY harness harness
COPY cluster cluster
COPY analysis analysis
ENV PYTHONPATH=/opt/harness
USER {user}
"""


def dockerfile() -> str:
    """The Dockerfile; dependencies are a layer of their own, below the sources."""
    return _DOCKERFILE.format(user=USER)
