"""The teacher: a transformer that turns sentences into the mean of their token embeddings."""

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from lib.job.ahead import ahead
from lib.job.command import InputError, first_line
from lib.job.progress import say
from lib.packed_linear import pack_linear_layers
from lib.precision import has_fast_bfloat16
from lib.token_sums import TokenSums, Words
from lib.transformer import load_transformer, positions_of

TOKENS_PER_BATCH = {"cpu": 2048, "cuda": 65536}
SENTENCES_AT_ONCE = 32768  # sorted by length together, while the next ones are tokenized
EVEN = 0.125  # share of a full batch from which on sentences of one length are a batch of their own
OUT_OF_MEMORY = (
    "can't allocate memory",
    "could not create a primitive",
)  # the messages of PyTorch on the CPU and of oneDNN
LEAST_COSINE = 0.99  # between vectors of the same text that are computed in two ways, also in bfloat16
SAME = 1e-5  # relative difference of numbers that rounding makes
POOLINGS = ["mean", "mean-with-special", "cls", "last"]


class Tokens(NamedTuple):
    """The tokens of sentences, one after another."""

    ids: np.ndarray  # int32
    special: np.ndarray  # whether the tokenizer added the token, bool
    offsets: np.ndarray  # where each sentence begins, and the end, int64
    words: Words | None  # those that the tokenizer split, if hidden states are to be summed up


class Teacher:
    """A transformer with its tokenizer on a device."""

    def __init__(self, folder: Path, max_length: int, pooling: str, device: str, prompt: str = "") -> None:
        """Load the weights, in bfloat16 if the hardware supports it, and test them.

        Args:
            folder: a transformers folder with ``model.safetensors``.
            max_length: tokens of a sentence, including special ones, after which it is truncated.
            pooling: ``mean`` of all but the special tokens, ``mean-with-special``, ``cls`` or ``last``.
            device: ``cpu`` or ``cuda``.
            prompt: text before each sentence; its tokens are averaged too, as in sentence-transformers.

        Raises:
            InputError: the folder is not a transformer with all of its weights, it reads fewer tokens, or its vectors
                are of no use.
        """
        dtype = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
        self.model, self.tokenizer = load_transformer(folder, dtype)
        self.model.config.use_cache = False  # a decoder would keep keys and values of each layer for further tokens
        self.hidden_size = self.model.config.hidden_size
        positions = positions_of(self.model)
        if positions is not None and max_length > positions:
            raise InputError(f"teacher.max_length: {max_length}, expected at most the teacher's {positions} positions")
        self.model = self.model.to(device).eval()
        if device == "cpu" and dtype == torch.bfloat16:
            pack_linear_layers(self.model, TOKENS_PER_BATCH[device])
        self.tokenizer.backend_tokenizer.enable_truncation(max_length)
        self.tokenizer.backend_tokenizer.no_padding()
        self.max_length = max_length
        self.pooling = pooling
        self.device = device
        self.prompt = prompt
        self.tokens_per_batch = TOKENS_PER_BATCH[device]
        self.sums: TokenSums | None = None  # to be counted while sentences are embedded
        self.check(folder)

    def check(self, folder: Path) -> None:
        """Embed a short text alone and with a longer one in a batch, and a text of the maximum length.

        Raises:
            InputError: it fails, a vector is not finite or not of the hidden size, padding changes a vector, or texts
                that begin alike have the same vector.
        """
        texts = ["a sentence", "a sentence of a few more words", "word " * self.max_length]
        try:
            alone, vectors = self.vectors(texts[:1]), self.vectors(texts)
        except InputError:
            raise
        except Exception as error:  # a model that cannot read what its config promises fails in its own way
            raise InputError(
                f"teacher {folder}: expected vectors of texts of up to {self.max_length} tokens, "
                f"found {type(error).__name__}: {first_line(error)}"
            ) from error
        if not np.isfinite(vectors).all():
            raise InputError(
                f"teacher {folder}: expected {self.hidden_size} finite numbers in an embedding, "
                f"found {np.isfinite(vectors[0]).sum()} of {self.hidden_size}"
            )
        if not vectors[0].any():
            return
        similarity = cosines(alone, vectors[:1])[0]
        if similarity < LEAST_COSINE:
            raise InputError(
                f"teacher {folder}: expected the same vector for a text alone and in a batch with a longer one, "
                f"found a cosine of {similarity:.3f}: the padding is not masked"
            )
        if np.abs(vectors[1] - vectors[0]).max() <= SAME * np.abs(vectors[0]).max():
            raise InputError(
                f"teacher {folder}: expected different vectors of different texts, found the same for two that begin "
                f"alike with teacher.pooling {self.pooling}: in a decoder no token reads those after it"
            )

    def vectors(self, texts: list[str]) -> np.ndarray:
        """The embeddings of some texts in their order, ``[len(texts), hidden_size]`` float32."""
        vectors = np.zeros((len(texts), self.hidden_size), np.float32)
        for rows, values in self.embed(texts):
            vectors[rows] = values
        return vectors

    def tokenize(self, sentences: list[str]) -> Tokens:
        """Tokenize sentences on all cores; only the last step holds Python's lock."""
        encodings = self.tokenizer.backend_tokenizer.encode_batch_fast([self.prompt + text for text in sentences])
        offsets = np.cumsum([0, *map(len, encodings)])
        ids = np.fromiter(chain.from_iterable(each.ids for each in encodings), np.int32, offsets[-1])
        special = np.fromiter(chain.from_iterable(each.special_tokens_mask for each in encodings), bool, offsets[-1])
        words = self.sums.find_words(ids, special, offsets) if self.sums else None
        return Tokens(ids, special, offsets, words)

    def embed(self, sentences: list[str], done: np.ndarray | None = None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Embed sentences in batches of similar length, the longest first.

        Sorting by length, so that batches hold little padding, is sentence-transformers' method. While the device works
        on a batch, the next sentences are tokenized and the last batch is copied from the device. If a batch does not
        fit into the device's memory, it and all later ones get half the size.

        Args:
            sentences: the texts.
            done: sentences to leave out, bool; complete batches only, otherwise the rest is batched differently.

        Yields:
            Rows of ``sentences``, and ``[len(rows), hidden_size]`` float32, their pooled last hidden states; zeros
            for a sentence without tokens to average.

        Raises:
            InputError: a sentence does not fit into the device's memory.
        """
        starts = list(range(0, len(sentences), SENTENCES_AT_ONCE))
        if done is not None:
            starts = [start for start in starts if not done[start : start + SENTENCES_AT_ONCE].all()]
        parts = ahead(self.tokenize, (sentences[start : start + SENTENCES_AT_ONCE] for start in starts))
        copied = None
        for start, tokens in zip(starts, parts, strict=True):
            lengths = np.diff(tokens.offsets)
            order = np.argsort(-lengths, kind="stable")
            if done is not None:
                order = order[~done[start + order]]
            empty = start + order[lengths[order] == 0]
            if len(empty):
                yield empty, np.zeros((len(empty), self.hidden_size), np.float32)
            order = order[lengths[order] > 0]
            lengths = lengths[order]
            words = self.sums.rows(tokens.words) if self.sums and tokens.words else np.zeros(len(tokens.ids), np.int64)
            # all at once, because each copy to a GPU waits until it is idle
            there = [
                torch.from_numpy(values).to(self.device)
                for values in (tokens.ids, tokens.special, words, tokens.offsets[order], lengths)
            ]
            first = 0
            while first < len(order):
                last = self.batch_end(lengths, first)
                failure = None
                try:
                    places = (values[first:last] for values in there[3:])
                    even = lengths[first] == lengths[last - 1]
                    pooled, *added = self.pooled(*there[:3], *places, int(lengths[first]), even)
                except RuntimeError as error:
                    if not (
                        isinstance(error, torch.OutOfMemoryError) or any(said in str(error) for said in OUT_OF_MEMORY)
                    ):
                        raise
                    failure = first_line(error)
                if failure:  # outside the handler, in which the exception would keep the memory in use
                    self.halve(last - first, int(lengths[first]), start + order[first], failure)
                    continue
                if copied is not None:
                    yield self.finish(*copied)
                copied = start + order[first:last], to_host(pooled), added
                first = last
        if copied is not None:
            yield self.finish(*copied)

    def finish(
        self, rows: np.ndarray, copy: Callable[[], np.ndarray], added: list[Tensor]
    ) -> tuple[np.ndarray, np.ndarray]:
        """A batch's rows and embeddings; its tokens are added to the sums only now that it counts as done."""
        if self.sums is not None:
            self.sums.add(*added)
        return rows, copy()

    def batch_end(self, lengths: np.ndarray, first: int) -> int:
        """The end of the batch that begins at ``first``.

        If many sentences have the same length, they are a batch of their own: without padding there is no mask, and
        without a mask the fastest kernels are used.

        Args:
            lengths: sentences' tokens, the largest first.
            first: the batch's first sentence.
        """
        longest = int(lengths[first])
        full = first + max(1, self.tokens_per_batch // longest)
        even = min(full, int(np.searchsorted(-lengths, -longest, "right")))
        return even if (even - first) * longest >= EVEN * self.tokens_per_batch else min(full, len(lengths))

    def halve(self, sentences: int, tokens: int, row: int, failure: str) -> None:
        """Halve the number of tokens in a batch from now on.

        Raises:
            InputError: a batch of one sentence was too large.
        """
        if sentences == 1:
            raise InputError(
                f"row {row}: its {tokens} tokens do not fit into the {self.device}'s memory, "
                f"expected a smaller teacher.max_length: {failure}"
            )
        self.tokens_per_batch = sentences * tokens // 2
        if self.device == "cuda":
            torch.cuda.empty_cache()
        say(
            f"teacher: out of memory with {sentences * tokens:,} tokens in a batch; "
            f"continuing with {self.tokens_per_batch:,}"
        )

    @torch.inference_mode()
    def pooled(
        self, ids: Tensor, special: Tensor, words: Tensor, starts: Tensor, lengths: Tensor, longest: int, even: bool
    ) -> tuple[Tensor, ...]:
        """The embeddings of one batch, from the tokens between ``starts`` and ``starts + lengths``, and its tokens.

        Args:
            ids: tokens of many sentences, on the device as are all tensors.
            special: which of them the tokenizer added.
            words: the row of each token's word in the sums.
            starts: where the batch's sentences begin, int64.
            lengths: their tokens, int64.
            longest: the largest of the lengths.
            even: whether all have this length.

        Returns:
            ``[len(starts), hidden_size]`` float32 on the device; means are taken in float32. Then what
            ``TokenSums.add`` takes, without the special tokens.
        """
        columns = torch.arange(longest, device=self.device)
        real = columns < lengths[:, None]
        places = torch.where(real, starts[:, None] + columns, 0)
        padded = torch.where(real, ids[places], self.tokenizer.pad_token_id or 0)
        hidden = self.model(input_ids=padded, attention_mask=None if even else real.long()).last_hidden_state.float()
        weights = (real & ~special[places]).unsqueeze(-1).float()
        ordinary = hidden * weights
        if self.pooling == "mean":
            pooled = ordinary.sum(1) / weights.sum(1).clamp(min=1)
        elif self.pooling == "mean-with-special":
            every = real.unsqueeze(-1).float()
            pooled = (hidden * every).sum(1) / every.sum(1).clamp(min=1)
        else:
            last = lengths - 1 if self.pooling == "last" else torch.zeros_like(lengths)
            pooled = hidden[torch.arange(len(lengths), device=self.device), last]
        return pooled, padded.flatten(), words[places].flatten(), weights.flatten(), ordinary.flatten(0, 1)


def cosines(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The cosine of each row of ``left`` with that row of ``right``; 0 for a row of zeros."""
    lengths = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return (left * right).sum(axis=1) / np.maximum(lengths, 1e-12)


def to_host(values: Tensor) -> Callable[[], np.ndarray]:
    """Start to copy values from the device; return a function that waits for the copy and returns the array."""
    if values.device.type == "cpu":
        return values.numpy
    copy = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    copy.copy_(values, non_blocking=True)
    ready = torch.cuda.Event()
    ready.record()

    def wait() -> np.ndarray:
        ready.synchronize()
        return copy.numpy()

    return wait
