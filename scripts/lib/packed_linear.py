"""Linear layers whose weights are in the layout of oneDNN's matrix products."""

import torch
from torch import Tensor, nn


class PackedLinear(nn.Module):
    """A linear layer for inference in bfloat16 on the CPU.

    `torch.nn.functional.linear` gives oneDNN the weights as they are, row by row. Here they are put into the blocks in
    which oneDNN reads them once, as PyTorch's compiler does with frozen weights.
    """

    def __init__(self, layer: nn.Linear, rows: int) -> None:
        """Take a layer's weights; ``rows`` is the usual number of rows of its input."""
        super().__init__()
        self.weight = torch.ops.mkldnn._reorder_linear_weight(layer.weight.data, rows)
        self.bias = None if layer.bias is None else layer.bias.data

    def forward(self, values: Tensor) -> Tensor:
        """``[..., out]`` of ``[..., in]``, both bfloat16."""
        return torch.ops.mkldnn._linear_pointwise(values, self.weight, self.bias, "none", [], None)


def pack_linear_layers(model: nn.Module, rows: int) -> None:
    """Replace a model's bfloat16 linear layers by packed ones, in place, if oneDNN has bfloat16 on this processor."""
    if not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Linear and layer.weight.dtype == torch.bfloat16:
                setattr(parent, name, PackedLinear(layer, rows))
