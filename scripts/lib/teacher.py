"""The teacher: a transformer that turns sentences into the mean of their token embeddings."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from transformers import AutoModel, AutoTokenizer
from transformers.utils import logging

from lib.command import InputError, first_line
from lib.device import has_fast_bfloat16
from lib.model_folder import check_folder
from lib.progress import progress

TOKENS_PER_BATCH = {"cpu": 4096, "cuda": 65536}
logging.set_verbosity_error()
logging.disable_progress_bar()
POOLINGS = ["mean", "mean-with-special", "cls", "last"]


class Teacher:
    """A transformer with its tokenizer on a device."""

    def __init__(self, folder: Path, max_length: int, pooling: str, device: str) -> None:
        """Load the weights, as bfloat16 where the hardware has it.

        Args:
            folder: a transformers folder with ``model.safetensors``.
            max_length: tokens of a sentence, special ones included, that are read; the rest is cut off.
            pooling: ``mean`` of the tokens without the special ones, ``mean-with-special``, ``cls`` or ``last``.
            device: ``cpu`` or ``cuda``.

        Raises:
            InputError: the folder is no transformer with safetensors weights, or reads fewer tokens.
        """
        self.hidden_size = check_folder(folder)
        dtype = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
        try:
            self.tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True, trust_remote_code=False)
            self.model = AutoModel.from_pretrained(
                folder, dtype=dtype, use_safetensors=True, trust_remote_code=False, attn_implementation="sdpa"
            )
        except Exception as error:  # each library raises its own kinds for a damaged file
            raise InputError(f"teacher {folder}: cannot be loaded: {first_line(error)}") from error
        positions = getattr(self.model.config, "max_position_embeddings", None)
        if positions is not None and max_length > positions:
            raise InputError(f"teacher.max_length: {max_length}, expected at most the teacher's {positions} positions")
        self.model = self.model.to(device).eval()
        self.max_length = max_length
        self.pooling = pooling
        self.device = device

    def batches(self, lengths: np.ndarray) -> Iterator[np.ndarray]:
        """Row indices in batches of like length, longest first, each within the device's token budget."""
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            size = max(1, TOKENS_PER_BATCH[self.device] // int(lengths[order[start]]))
            yield order[start : start + size]
            start += size

    @torch.inference_mode()
    def embed(self, sentences: list[str], label: str = "teacher") -> np.ndarray:
        """Embed sentences.

        Sorting by length, so that batches hold little padding, is sentence-transformers' method; a sentence's tokens
        are averaged in float32.

        Returns:
            ``[len(sentences), hidden_size]`` float32, row i the pooled last hidden states of sentence i; zeros where
            a sentence has no tokens to average.

        Raises:
            InputError: an embedding is not finite.
        """
        encoded = self.tokenizer(
            sentences, truncation=True, max_length=self.max_length, return_special_tokens_mask=True, padding=False
        )
        lengths = np.array([len(ids) for ids in encoded["input_ids"]], dtype=np.int64)
        out = np.zeros((len(sentences), self.hidden_size), dtype=np.float32)
        for rows in progress(self.batches(lengths), len(sentences), label, "sentences", len):
            picked = {key: [encoded[key][row] for row in rows] for key in encoded}
            batch = self.tokenizer.pad(picked, return_tensors="pt").to(self.device)
            special = batch.pop("special_tokens_mask")
            hidden = self.model(**batch).last_hidden_state.float()
            mask = batch["attention_mask"]
            if self.pooling == "cls":
                pooled = hidden[:, 0]
            elif self.pooling == "last":
                last = mask.shape[1] - 1 - mask.flip(1).argmax(1)
                pooled = hidden[torch.arange(len(rows), device=self.device), last]
            else:
                mask = mask * (1 - special) if self.pooling == "mean" else mask
                weights = mask.unsqueeze(-1).float()
                pooled = (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)
            if not torch.isfinite(pooled).all():
                bad = rows[(~torch.isfinite(pooled)).any(dim=1).cpu().numpy()][0]
                raise InputError(f"{label}: row {bad}: expected a finite embedding from the teacher, found none")
            out[rows] = pooled.cpu().numpy()
        return out
