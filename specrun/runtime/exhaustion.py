"""Tells a want of memory from other failures. No torch: who reports the end of a run asks as well."""

from __future__ import annotations


def is_out_of_memory(failure: BaseException) -> bool:
    """Whether a failure says that memory is used up, the device's or the host's.

    torch raises `OutOfMemoryError` for a device ("CUDA out of memory"), and plain RuntimeErrors for the CPU ("DefaultCPUAllocator:
    can't allocate memory") and for the workspace of a library ("CUBLAS_STATUS_ALLOC_FAILED").
    """
    said = str(failure).lower()
    words = "out of memory" in said or ("alloc" in said and "memory" in said) or "cublas_status_alloc_failed" in said
    return isinstance(failure, MemoryError) or (words and not isinstance(failure, OSError))


def first_line(failure: BaseException) -> str:
    """What a failure said, without the stack that torch adds."""
    said = str(failure)
    return said.splitlines()[0][:160] if said else "allocation failed"
