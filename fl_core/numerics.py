"""What a training process must be started with so that its bits are the same everywhere, and what they depended on."""

import os
import platform
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "KMP_BLOCKTIME": "0"}
# glibc gives blocks above 128 KiB back to the system at once and then clears anew each one that it asks for: a batch's tensors cost more to get than to fill.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(32 << 20), "MALLOC_TRIM_THRESHOLD_": str(512 << 20)}
_FEATURES = ("avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl")


def training_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment for a process that trains: one thread, memory that is kept, and MKL's fast path on AMD; memory and path unless the user set them."""
    mkl = mkl_path(*_processor())
    wanted = {**ONE_THREAD, **KEEP_MEMORY, **({"MKL_DEBUG_CPU_TYPE": mkl} if mkl else {})}
    return {**wanted, **environment, **ONE_THREAD}


def mkl_path(vendor: str, flags: frozenset[str]) -> str | None:
    """The bundled MKL picks a slow path on AMD; 7 is its AVX-512 path, 5 its AVX2 path. Undocumented, hence only where the flags are there."""
    if vendor != "AuthenticAMD":
        return None
    if {"avx512f", "avx512bw", "avx512dq", "avx512vl"} <= flags:
        return "7"
    return "5" if {"avx2", "fma"} <= flags else None


def describe_processor() -> dict[str, Any]:
    """Threads, MKL path and processor features of this process, as they are."""
    vendor, flags = _processor()
    return {
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")) or None,
        "mkl_debug_cpu_type": os.environ.get("MKL_DEBUG_CPU_TYPE"),
        "machine": platform.machine(),
        "vendor": vendor,
        "features": [feature for feature in _FEATURES if feature in flags],
    }


@lru_cache(maxsize=1)
def _processor() -> tuple[str, frozenset[str]]:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return "unknown", frozenset()
    found = dict(line.split(":", 1) for line in lines[:64] if ":" in line)
    plain = {key.strip(): value.strip() for key, value in found.items()}
    return plain.get("vendor_id", "unknown"), frozenset(plain.get("flags", "").split())
