"""Kinds of devices by what they can do, so that work is spelled in hours of something that can be rented.

What a device reaches of its peak depends on a model's width more than on anything else: small models leave most of it
unused. The shares here are assumptions, and a plan says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from studies.schema.rung import Precision

GB = 10**9
TERA = 10**12


class Device(StrEnum):
    """What a worker computes on."""

    CPU_PAIR = "2 CPU cores"
    A100 = "A100 SXM 80 GB"
    H100 = "H100 SXM 80 GB"


@dataclass(frozen=True, kw_only=True)
class DeviceKind:
    """Peak FLOP/s of dense matrix products by precision, memory in bytes, and the share of the peak that is assumed."""

    fp32: float
    bf16: float
    memory: float
    utilisation: float
    source: str

    def seconds(self, flops: float, precision: Precision) -> float:
        """How long the work takes one of these."""
        return flops / (self.utilisation * (self.bf16 if precision is Precision.BF16 else self.fp32))


KINDS: Mapping[Device, DeviceKind] = MappingProxyType(
    {
        Device.CPU_PAIR: DeviceKind(
            fp32=131e9,
            bf16=131e9,
            memory=8 * GB,
            utilisation=0.2,
            source="torch's matrix product on the two cores of README's figures; the share is first_look's there",
        ),
        Device.A100: DeviceKind(
            fp32=19.5 * TERA,
            bf16=312 * TERA,
            memory=80 * GB,
            utilisation=0.4,
            source="NVIDIA A100 data sheet: FP32, BF16 tensor cores without sparsity, 80 GB HBM2e",
        ),
        Device.H100: DeviceKind(
            fp32=67 * TERA,
            bf16=989 * TERA,
            memory=80 * GB,
            utilisation=0.4,
            source="NVIDIA H100 data sheet: SXM, FP32, BF16 tensor cores without sparsity, 80 GB HBM3",
        ),
    }
)
