"""Any model or baseline of a run as a function that embeds texts."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from lib.job.command import InputError, first_line
from lib.job.files import check_hashes
from lib.job.progress import progress
from lib.model_folder import is_static_model, pickled_weights
from lib.precision import has_fast_bfloat16
from lib.static_model import load_static_model

Embedder = Callable[[list[str]], np.ndarray]


TOKENS_PER_BATCH = {"cpu": 16_384, "cuda": 131_072}
CHARACTERS_PER_TOKEN = 3  # fewer than texts have, so batches are too small rather than too large
TEXTS_AT_ONCE = 1024


def load_embedder(folder: Path, device: str) -> Callable[[list[str]], np.ndarray]:
    """The function that embeds texts: model2vec's for a static model, sentence-transformers' for a transformer.

    A transformer's layers are in bfloat16 if the hardware supports it, its pooling in float32. Padding comes after the
    tokens, so that positions and the first token do not move.

    Raises:
        InputError: the folder holds neither kind of model, or weights are missing or can hold code.
    """
    check_hashes(folder, required=False)
    if pickled := pickled_weights(folder):
        raise InputError(f"model {folder}: expected all weights as safetensors, found {pickled}")
    if is_static_model(folder):
        return partial(
            load_static_model(folder).encode, use_multiprocessing=False
        )  # a job uses the threads that it asked for
    from sentence_transformers import SentenceTransformer

    from lib.transformer import load_whole, positions_of

    try:
        model = SentenceTransformer(
            str(folder), device=device, trust_remote_code=False, model_kwargs={"use_safetensors": True}
        )
        transformer = model[0].auto_model
        load_whole(type(transformer), Path(transformer.name_or_path))  # the library does not report missing weights
        positions = positions_of(transformer)  # for RoBERTa the library counts two too many
        if positions is not None:
            model.max_seq_length = min(model.max_seq_length or positions, positions)
        model.tokenizer.padding_side = "right"
    except InputError:
        raise
    except Exception as error:  # each library raises exceptions of its own for a damaged file
        raise InputError(f"model {folder}: cannot be loaded: {first_line(error)}") from error
    if has_fast_bfloat16(device):
        model[0].bfloat16()
        model[0].register_forward_hook(lambda _, __, out: out | {"token_embeddings": out["token_embeddings"].float()})

    def batch_size(rows: np.ndarray, texts: list[str]) -> int:
        longest = min(model.max_seq_length or 512, 2 + len(texts[rows[0]]) // CHARACTERS_PER_TOKEN)
        return max(1, TOKENS_PER_BATCH[device] // longest)

    def embed(texts: list[str]) -> np.ndarray:
        # long texts first, as sentence-transformers would sort them: whole batches of similar length
        order = np.argsort([-len(text) for text in texts], kind="stable")
        parts = np.split(order, range(TEXTS_AT_ONCE, len(order), TEXTS_AT_ONCE))
        shown = parts if len(parts) == 1 else progress(parts, len(texts), f"encode with {folder.name}", "texts", len)
        encoded = [
            model.encode([texts[row] for row in rows], batch_size=batch_size(rows, texts), show_progress_bar=False)
            for rows in shown
        ]
        return np.concatenate(encoded)[np.argsort(order)]

    return embed
