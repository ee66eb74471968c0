"""Derive a model from another one: fewer dimensions by PCA, vectors shared by tokens by clustering, or both.

Shared vectors and the tokens' weights are then trained on the teacher's embeddings, like a student.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import numpy as np
from model2vec import StaticModel
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from lib.checkpoint import checkpoint_of, remove_checkpoint
from lib.job.command import InputError, run
from lib.job.device import device_name
from lib.job.files import HASHES, sha256, write_json
from lib.job.progress import say
from lib.job.provenance import versions
from lib.shards import read_sample, shard_path
from lib.static_model import SENTENCES_AT_ONCE, load_stage, save_static_model, tokenize, with_vectors
from lib.targets import targets_of_all
from lib.training import add_training_arguments, set_up, train

KMEANS_ROUNDS = 30


def covariance(model: StaticModel, sentences: list[str]) -> np.ndarray:
    """The covariance of sentence embeddings (means of token vectors), ``[dimensions, dimensions]`` float64."""
    total, products = np.zeros(model.dim), np.zeros((model.dim, model.dim))
    for start in range(0, len(sentences), SENTENCES_AT_ONCE):
        part = model.encode(
            sentences[start : start + SENTENCES_AT_ONCE], normalize=False, use_multiprocessing=False
        ).astype(np.float64)
        total += part.sum(axis=0)
        products += part.T @ part
    mean = total / len(sentences)
    return products / len(sentences) - np.outer(mean, mean)


def reduce(model: StaticModel, sentences: list[str], dimensions: int) -> tuple[StaticModel, float]:
    """Project a model's vectors on the first principal components of its sentence embeddings.

    PCA of sentence embeddings rather than of token vectors (Wada et al. 2025, arXiv 2506.04624), so that a token counts
    as often as it is used. No mean is subtracted: cosines are those within the remaining directions.

    Args:
        model: a static model in floating point.
        sentences: sentences of the corpus.
        dimensions: number of dimensions to keep.

    Returns:
        The smaller model, and the share of the variance that it keeps.

    Raises:
        InputError: the model does not have more dimensions.
    """
    if dimensions >= model.dim:
        raise InputError(f"dimensions: {dimensions}, expected fewer than the model's {model.dim}")
    variances, directions = np.linalg.eigh(covariance(model, sentences))
    largest = np.argsort(-variances, kind="stable")[:dimensions]
    vectors = (model.embedding @ directions[:, largest]).astype(np.float32)
    return with_vectors(model, vectors), float(variances[largest].sum() / variances.sum())


def cluster(model: StaticModel, clusters: int, counts: np.ndarray, seed: int) -> StaticModel:
    """Let tokens share vectors: k-means of their directions, and a weight for each token, its length along its vector.

    In k-means a token counts by the square root of its frequency and by its squared length. k-means++ initializes it.

    Args:
        model: a static model in floating point.
        clusters: the number of vectors.
        counts: how often each token occurs in the corpus, ``[tokens]``.
        seed: of the initialization of k-means.

    Raises:
        InputError: there are not more tokens than clusters, or tokens share vectors already.
    """
    if model.token_mapping is not None:
        raise InputError("clusters: expected a model without shared vectors to derive from, found one that has them")
    if clusters >= len(model.tokens):
        raise InputError(f"clusters: {clusters}, expected fewer than the model's {len(model.tokens)} tokens")
    vectors = model.embedding.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1)
    directions = vectors / np.maximum(lengths, 1e-12)[:, None]
    importance = np.sqrt(counts + 1) * lengths**2
    with threadpool_limits(limits=1):  # several threads would add up in another order each time
        kmeans = KMeans(clusters, n_init=1, max_iter=KMEANS_ROUNDS, random_state=seed)
        kmeans.fit(directions, sample_weight=importance)
    centres = kmeans.cluster_centers_
    shared = centres[kmeans.labels_]
    weights = (vectors * shared).sum(axis=1) / np.maximum((shared**2).sum(axis=1), 1e-12)
    mapping = kmeans.labels_.astype(np.uint16 if clusters <= 2**16 else np.int32)
    return StaticModel(
        centres,
        model.tokenizer,
        config=model.config,
        normalize=True,
        weights=weights,
        token_mapping=mapping,
        max_length=model.max_length,
    )


def main(argv: list[str]) -> None:
    """Derive one model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the folder of the model to derive from")
    parser.add_argument("--dimensions", type=int, help="number of dimensions to keep; all by default")
    parser.add_argument(
        "--clusters", type=int, help="number of vectors that the tokens share; one per token by default"
    )
    parser.add_argument("--sentences", type=Path, required=True, help="the folder of the sentence shards")
    parser.add_argument("--count", type=int, required=True, help="number of sentences to use, from the first shard on")
    parser.add_argument(
        "--embeddings", type=Path, nargs="*", help="each teacher's folder of embedding shards, to train shared vectors"
    )
    add_training_arguments(parser)
    parser.add_argument("--code", type=Path, nargs="*", default=[], help="files of code that the vectors follow from")
    parser.add_argument("--output", type=Path, required=True, help="the folder to write")
    args = parser.parse_args(argv)
    settings, device = set_up(args)

    model, share, training = load_stage(args.model), None, {}
    sentences, shards = read_sample(args.sentences, args.count)
    if args.dimensions and not (args.clusters and args.dimensions == model.dim):
        model, share = reduce(model, sentences, args.dimensions)
        say(f"derive: {args.dimensions} dimensions keep {100 * share:.1f} % of the sentence embeddings' variance")
    if args.clusters:
        tokens, offsets = tokenize(model, sentences)
        model = cluster(model, args.clusters, np.bincount(tokens, minlength=len(model.tokens)), settings.seed)
        say(f"derive: {len(model.tokens):,} tokens share {len(model.embedding):,} vectors")
        if args.embeddings:
            reduced = settings.target_dimensions(model.dim)
            wanted = targets_of_all(args.embeddings, args.sentences, shards, args.count, reduced)
            inputs = [args.model / HASHES, *(shard_path(args.sentences, i, "parquet") for i in range(shards))]
            inputs += [shard_path(folder, i, "json") for folder in args.embeddings for i in range(shards)]
            sizes = [args.count, args.dimensions, args.clusters]
            checkpoint = checkpoint_of(args.output, [*args.code, *inputs], *sizes, asdict(settings), device)
            model, training = train(model, tokens, offsets, wanted, settings, device, checkpoint)
            training = {"settings": asdict(settings), "device": device_name(device)} | training
    save_static_model(model, args.output)
    report = {
        "dimensions": model.dim,
        "variance_kept": share,
        "clusters": args.clusters,
        "training": training,
        "from_sha256": sha256(args.model / "model.safetensors"),
        "model_sha256": sha256(args.output / "model.safetensors"),
        "versions": versions("model2vec", "numpy", "scikit-learn", "torch"),
    }
    write_json(args.output / "derivation.json", report)
    remove_checkpoint(args.output)


if __name__ == "__main__":
    run(main)
