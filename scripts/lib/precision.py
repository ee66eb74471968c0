"""The number format of a transformer's layers."""

import torch


def has_fast_bfloat16(device: str) -> bool:
    """Whether the device computes bfloat16 matrix products in hardware."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.cpu._is_avx512_bf16_supported()
