"""Losses, and the training of a static model."""

import itertools
import json
import re
import shutil
import tracemalloc
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import distilled, write_embeddings, write_shard, write_token_sums
from model2vec import StaticModel
from sklearn.decomposition import PCA
from sklearn.linear_model import Ridge
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

import train
from lib import targets, training
from lib.alignment import EXPECTED, RIDGE, align, in_context, mapped
from lib.checkpoint import Checkpoint
from lib.job.ahead import ahead
from lib.job.command import InputError
from lib.job.files import HASHES, sha256
from lib.losses import contrastive_loss, cosine_loss
from lib.static_model import load_static_model, tokenize
from lib.student import SharedTable, Table, lay_out
from lib.targets import previous_targets, targets_of_all, teacher_targets

SETTINGS = training.TrainingSettings(
    "cosine",
    temperature=0.1,
    batch_size=16,
    learning_rate=0.01,
    epochs=3,
    patience=3,
    seed=0,
    initial="distilled",
    shrinkage=0,
)


def random_rows(rows, width, seed):
    return torch.from_numpy(np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32))


def cosine_matrix(left, right):
    left, right = left.numpy().astype(float), right.numpy().astype(float)
    left /= np.linalg.norm(left, axis=1, keepdims=True)
    return left @ (right / np.linalg.norm(right, axis=1, keepdims=True)).T


def test_cosine_loss_compares_each_student_with_its_own_target():
    student, targets = random_rows(6, 5, 1), random_rows(6, 5, 2)
    assert cosine_loss(student, targets).item() == pytest.approx(1 - cosine_matrix(student, targets).diagonal().mean())


def test_contrastive_loss_equals_the_naive_cross_entropy():
    student, targets = random_rows(6, 5, 1), random_rows(6, 5, 2)
    logits = cosine_matrix(student, targets) / 0.2
    expected = -np.mean([logits[i, i] - np.log(np.exp(logits[i]).sum()) for i in range(6)])
    assert contrastive_loss(student, targets, 0.2).item() == pytest.approx(expected, rel=1e-4)


def test_a_batch_is_what_slicing_gives():
    chance = np.random.default_rng(0)
    parts = [chance.integers(0, 9, size=size) for size in [3, 1, 0, 5, 2]]
    tokens, offsets = np.concatenate(parts), np.concatenate([[0], np.cumsum([len(part) for part in parts])])
    rows = np.array([4, 0, 3, 1, 0])
    batch = lay_out(tokens, offsets, rows)
    flat = batch.tokens[batch.places]
    assert [flat[a:b].tolist() for a, b in itertools.pairwise(batch.offsets)] == [parts[i].tolist() for i in rows]
    assert batch.tokens.tolist() == sorted(set(flat.tolist()))
    ends = [*batch.starts[1:].tolist(), len(flat)]
    for token, start, end in zip(batch.tokens.tolist(), batch.starts.tolist(), ends, strict=True):
        expected = [i for i, row in enumerate(rows) for each in parts[row] if each == token]
        assert batch.sentences[start:end].tolist() == expected


@pytest.mark.parametrize("shared", [False, True])
def test_a_step_is_adams_on_the_rows_of_the_batch(data, shared):
    """Beside torch's own optimizers and automatic gradients."""
    model, (tokens, offsets) = shared_model() if shared else data[0], data[1:3]
    table = (SharedTable if shared else Table)(model, "cpu")
    parameters = [torch.nn.Parameter(torch.tensor(values)) for values in table.values_of(model)]
    kind = torch.optim.Adam if shared else torch.optim.SparseAdam
    optimizer = kind(parameters, lr=0.1)
    for start in [0, 20, 40]:
        batch = lay_out(tokens, offsets, np.arange(start, start + 20))
        target = random_rows(20, 8, start)
        flat = batch.tokens[batch.places]
        if shared:
            weights = parameters[1][flat][:, None]
            rows = torch.repeat_interleave(torch.arange(20), batch.offsets.diff())
            total = torch.zeros(20, 8).index_add(0, rows, weights * parameters[0][table.mapping[flat]])
            expected = total / batch.offsets.diff()[:, None]
        else:
            options = {"mode": "mean", "sparse": True, "include_last_offset": True}
            expected = torch.nn.functional.embedding_bag(flat, parameters[0], batch.offsets, **options)
        found = table.mean(batch).requires_grad_()
        assert torch.allclose(found, expected, atol=1e-5)
        optimizer.zero_grad()
        for means in (found, expected):
            (means * target).sum().backward()
        optimizer.step()
        table.step(batch, found.grad, 0.1)
        for ours, theirs in zip(table.parameters, parameters, strict=True):
            assert torch.allclose(ours, theirs, atol=1e-4)


def test_batches_are_whole():
    assert [part.tolist() for part in training.batches(np.arange(7), 3)] == [[0, 1, 2], [3, 4, 5]]


def test_the_student_is_the_mean_of_its_token_vectors():
    vectors = np.arange(8, dtype=np.float32).reshape(4, 2)
    found = Table(static_model(vectors), "cpu").mean(lay_out(np.array([0, 1, 3]), np.array([0, 2, 3]), np.arange(2)))
    assert found.tolist() == [[1, 2], [6, 7]]


def test_a_student_of_shared_vectors_embeds_as_model2vec_does(data):
    model = shared_model()
    tokens, offsets = data[1:3]
    found = SharedTable(model, "cpu").mean(lay_out(tokens, offsets, np.arange(200)))
    sentences = [" ".join(f"t{token}" for token in tokens[a:b]) for a, b in itertools.pairwise(offsets)]
    np.testing.assert_allclose(found, model.encode(sentences, normalize=False), atol=1e-5)


def test_shared_vectors_and_weights_learn_and_stay_shared(data):
    model = shared_model()
    trained, report = training.train(model, *data[1:], replace(SETTINGS, epochs=6), "cpu")
    losses = [point["validation_loss"] for point in report["curve"]]
    assert losses[-1] < 0.9 * losses[0]
    assert (trained.token_mapping == model.token_mapping).all()
    assert trained.embedding.shape == (20, 8)
    assert not np.allclose(trained.embedding, model.embedding)
    assert not np.allclose(trained.weights, model.weights)


def static_model(vectors, **shared):
    """A model over the words t0, t1, … of these vectors."""
    count = len(shared.get("token_mapping", vectors))
    tokenizer = Tokenizer(WordLevel({f"t{i}": i for i in range(count)}))
    tokenizer.pre_tokenizer = Whitespace()
    return StaticModel(vectors, tokenizer, normalize=True, **shared)


def shared_model():
    """A model whose 50 tokens share 20 vectors."""
    chance = np.random.default_rng(1)
    weights = chance.uniform(0.5, 2, size=50).astype(np.float32)
    vectors = chance.normal(size=(20, 8)).astype(np.float32)
    return static_model(vectors, weights=weights, token_mapping=np.arange(50) % 20)


@pytest.fixture(scope="module")
def data():
    """A model of 50 tokens, token ids of 200 sentences, and targets that depend on them."""
    chance = np.random.default_rng(0)
    lengths = chance.integers(3, 9, size=200)
    tokens = chance.integers(0, 50, size=lengths.sum())
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    truth = chance.normal(size=(50, 12))
    targets = np.stack([truth[tokens[a:b]].mean(0) for a, b in itertools.pairwise(offsets)])
    model = static_model(chance.normal(size=(50, 8)).astype(np.float32))
    return model, tokens, offsets, targets.astype(np.float16)


def trained(data, **changes):
    return training.train(*data, replace(SETTINGS, **changes), "cpu")


@pytest.mark.parametrize("loss", ["cosine", "contrastive"])
def test_the_held_out_loss_falls(data, loss):
    model, tokens, offsets, targets = data
    targets = targets[:, :8] if loss == "contrastive" else targets
    _, report = training.train(model, tokens, offsets, targets, replace(SETTINGS, loss=loss, epochs=6), "cpu")
    losses = [point["validation_loss"] for point in report["curve"]]
    assert losses[-1] < 0.9 * losses[0]
    assert [point["epoch"] for point in report["curve"]] == list(range(7))
    assert [point["step"] for point in report["curve"]] == [11 * i for i in range(7)]
    assert (report["train_sentences"], report["validation_sentences"], report["stop"]) == (180, 20, "epochs")


def test_the_head_of_a_contrastive_training_learns_too(data, monkeypatch):
    model, tokens, offsets, targets = data
    monkeypatch.setattr(Table, "step", lambda *_: None)
    settings = replace(SETTINGS, loss="contrastive", learning_rate=0.05, epochs=6)
    _, report = training.train(model, tokens, offsets, targets[:, :8], settings, "cpu")
    assert report["curve"][-1]["validation_loss"] < 0.95 * report["curve"][0]["validation_loss"]


def test_items_are_prepared_in_order_each_while_the_one_before_is_worked_on():
    prepared, worked = [], []
    for item in ahead(lambda item: prepared.append(item) or item, range(20)):
        worked.append(item)
    assert worked == prepared == list(range(20))
    first = next(ahead(lambda item: prepared.append(item) or item, [20, 21, 22]))
    assert (first, prepared[20:]) == (20, [20, 21])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(data):
    first, again, other = (trained(data, seed=seed)[0] for seed in [1, 1, 2])
    assert first.embedding.tobytes() == again.embedding.tobytes()
    assert first.embedding.tobytes() != other.embedding.tobytes()
    assert first.embedding.shape == data[0].embedding.shape and first.embedding.dtype == np.float32


def test_what_it_begins_with_is_not_changed(data):
    before = data[0].embedding.copy()
    trained(data)
    assert (data[0].embedding == before).all()


def test_sentences_without_tokens_are_left_out(data):
    model, tokens, offsets, targets = data
    offsets = np.concatenate([offsets, [offsets[-1]] * 30])
    wild = np.full((30, targets.shape[1]), np.nan, dtype=np.float16)
    _, report = training.train(model, tokens, offsets, np.concatenate([targets, wild]), SETTINGS, "cpu")
    assert report["train_sentences"] + report["validation_sentences"] == 200
    assert np.isfinite(report["curve"][-1]["validation_loss"])


def test_a_batch_larger_than_the_data_is_refused(data):
    with pytest.raises(InputError, match=r"training\.batch_size: 181.*180"):
        trained(data, batch_size=181)


@pytest.mark.parametrize("count", [8, 19])
def test_too_few_sentences_to_compare_held_out_ones_are_refused(data, count):
    model, tokens, offsets, targets = data
    with pytest.raises(InputError, match=f"20 .*{count}"):
        training.train(model, tokens, offsets[: count + 1], targets[:count], replace(SETTINGS, batch_size=4), "cpu")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize(("loss", "words"), [("contrastive", "epoch 1"), ("cosine", "finite")])
def test_a_loss_that_is_not_finite_is_refused(data, loss, words):
    model, tokens, offsets, targets = data
    wild = np.full_like(targets[:, :8], np.nan)
    with pytest.raises(InputError, match=words):
        training.train(model, tokens, offsets, wild, replace(SETTINGS, loss=loss), "cpu")


def test_patience_stops_and_the_best_epoch_is_kept(data):
    """With the vectors that the targets come from, nothing can get better."""
    chance = np.random.default_rng(0)
    _, tokens, offsets, _ = data
    truth = chance.normal(size=(50, 12)).astype(np.float32)
    targets = np.stack([truth[tokens[a:b]].mean(0) for a, b in itertools.pairwise(offsets)])
    settings = replace(SETTINGS, epochs=9, patience=2, learning_rate=0.1)
    found, report = training.train(static_model(truth), tokens, offsets, targets, settings, "cpu")
    assert report["stop"] == "patience"
    assert report["curve"][-1]["epoch"] == 2
    assert (found.embedding == truth).all()


def interrupt(monkeypatch, epoch):
    """Write a checkpoint after every epoch, and end the training in the validation after one."""
    validate, calls = training.validate, itertools.count()
    monkeypatch.setattr(training, "SECONDS_BETWEEN_CHECKPOINTS", 0)

    def interrupted(*arguments):
        if next(calls) == epoch:
            raise KeyboardInterrupt
        return validate(*arguments)

    monkeypatch.setattr(training, "validate", interrupted)


@pytest.mark.parametrize(
    ("shared", "changes"),
    [
        (False, {"initial": "aligned", "shrinkage": 2}),
        (False, {"initial": "contextual", "shrinkage": 2}),
        (False, {"loss": "contrastive"}),
        (True, {}),
        (False, {"learning_rate": 0.9, "patience": 1}),
    ],
)
def test_an_interrupted_training_gives_the_same_bytes(data, tmp_path, monkeypatch, shared, changes):
    model, tokens, offsets, targets = data
    targets = targets[:, :8] if changes.get("loss") == "contrastive" else targets
    arguments = [shared_model() if shared else model, tokens, offsets, targets, replace(SETTINGS, **changes), "cpu"]
    given = context(data)[0] if changes.get("initial") == "contextual" else None
    expected, whole = training.train(*arguments, None, given)
    checkpoint = Checkpoint(tmp_path / "checkpoint", "key")
    for epoch in [3, 1]:  # after two epochs, then after one more of those that are left
        with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
            interrupt(patch, epoch)
            training.train(*arguments, checkpoint, given)
    epochs = len(checkpoint.read()[1])
    trained, report = training.train(*arguments, checkpoint, given)
    assert trained.embedding.tobytes() == expected.embedding.tobytes()
    assert trained.weights is None or trained.weights.tobytes() == expected.weights.tobytes()
    assert report == whole
    assert epochs > 1


def test_a_checkpoint_of_another_training_or_a_damaged_one_is_not_used(data, tmp_path, capsys):
    checkpoint = Checkpoint(tmp_path / "checkpoint", "key")
    checkpoint.write({"a": torch.ones(3)}, ["report"])
    tensors, report = checkpoint.read()
    assert (tensors["a"].tolist(), report) == ([1, 1, 1], ["report"])
    assert checkpoint._replace(key="another").read() is None
    assert "settings" in capsys.readouterr().err
    for length in [10, 40]:
        checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:length])
        assert checkpoint.read() is None
        assert "cannot be read" in capsys.readouterr().err
    expected = training.train(*data, SETTINGS, "cpu")[0]
    assert training.train(*data, SETTINGS, "cpu", checkpoint)[0].embedding.tobytes() == expected.embedding.tobytes()


def test_aligned_means_are_a_ridge_regression_and_its_cosines(data):
    """The map gives the regression's inner products, the rotation after it the regression itself."""
    model, tokens, offsets, targets = data
    vectors = torch.from_numpy(model.embedding)
    means = torch.stack([vectors[tokens[a:b]].mean(0) for a, b in itertools.pairwise(offsets)])
    wanted = torch.from_numpy(targets.astype(np.float32))
    linear, rotation = align([(means[:80], wanted[:80]), (means[80:], wanted[80:])])
    unit = wanted / wanted.norm(dim=1, keepdim=True)
    strength = RIDGE * float(means.square().sum(0).mean())
    predicted = Ridge(strength, fit_intercept=False).fit(means, unit).predict(vectors)
    np.testing.assert_allclose(vectors @ linear @ rotation, predicted, atol=1e-4)
    moved = mapped(vectors, linear)
    np.testing.assert_allclose(
        cosine_matrix(moved, moved), cosine_matrix(*[torch.from_numpy(predicted)] * 2), atol=1e-4
    )
    assert moved.norm(dim=1).mean() == pytest.approx(float(vectors.norm(dim=1).mean()), rel=1e-5)


def test_aligned_vectors_begin_with_a_lower_loss(data):
    losses = [trained(data, initial=initial)[1]["curve"][0]["validation_loss"] for initial in ("distilled", "aligned")]
    assert losses[1] < losses[0]


def test_the_cosine_loss_begins_at_the_ridge_regressions_cosines_on_held_out_sentences(data):
    model, tokens, offsets, targets = data
    means = np.stack([model.embedding[tokens[a:b]].mean(0) for a, b in itertools.pairwise(offsets)])
    wanted = targets.astype(np.float32)
    unit = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    training_rows, held_out = training.split(offsets, SETTINGS)
    ridge = Ridge(RIDGE * float(np.square(means[training_rows]).sum(0).mean()), fit_intercept=False)
    predicted = ridge.fit(means[training_rows], unit[training_rows]).predict(means[held_out])
    rows = held_out[: SETTINGS.batch_size]
    cosines = (predicted * unit[held_out]).sum(1) / np.linalg.norm(predicted, axis=1)
    curve = trained(data, initial="aligned", epochs=0)[1]["curve"]
    assert curve[0]["validation_loss"] == pytest.approx(1 - cosines[: len(rows)].mean(), abs=1e-4)


def test_only_training_sentences_align(data):
    """With other targets for the held-out sentences, the vectors begin the same."""
    model, tokens, offsets, targets = data
    _, held_out = training.split(offsets, SETTINGS)
    other = targets.copy()
    other[held_out] = 1
    settings = replace(SETTINGS, initial="aligned", epochs=0)
    first, second = (training.train(model, tokens, offsets, each, settings, "cpu")[0] for each in (targets, other))
    assert first.embedding.tobytes() == second.embedding.tobytes() != model.embedding.tobytes()


def context(data):
    """A teacher whose hidden states are the same in each sentence, and these."""
    _, tokens, offsets, _ = data
    truth = np.random.default_rng(5).normal(size=(50, 12)).astype(np.float32)
    counts = np.bincount(tokens, minlength=50).astype(np.float32)
    embeddings = np.stack([truth[tokens[a:b]].mean(0) for a, b in itertools.pairwise(offsets)])
    return training.Context(truth * counts[:, None], counts, np.ones(50, np.float32), embeddings), truth


def in_context_of(data, given, **changes):
    settings = replace(SETTINGS, initial="contextual", **changes)
    return training.train(*data, settings, "cpu", None, given)


def test_vectors_in_context_are_a_regression_on_distilled_vectors_and_mean_states(data):
    """Step by step in NumPy, with a loop over sentences."""
    model, tokens, offsets, targets = data
    (given, _), vectors = context(data), model.embedding.astype(float)
    wanted = targets.astype(float)
    given.sums[7] = given.counts[7] = 0  # a token that the teacher does not have
    given.pieces[3:6] = [2, 3, 2]  # and words that it splits
    centre = given.sums.sum(0) / (given.counts * given.pieces).sum()
    sums = given.sums - (given.counts * given.pieces)[:, None] * centre
    share = (given.counts / (given.counts + EXPECTED))[:, None]

    def ridge(left, right, output):
        strength = RIDGE * (left * right).sum(0).mean()
        return np.linalg.solve(left.T @ right + strength * np.eye(left.shape[1]), left.T @ output)

    means = sums / np.maximum(given.counts * given.pieces, 1)[:, None]
    expected = (vectors @ ridge(vectors * share, vectors, means)) * given.pieces[:, None]
    rows = []
    for start, end, own in zip(offsets[:-1], offsets[1:], given.embeddings, strict=True):
        of_others = [
            (sums[t] + EXPECTED * expected[t] - given.pieces[t] * (own - centre)) / (given.counts[t] - 1 + EXPECTED)
            if given.counts[t]
            else expected[t]
            for t in tokens[start:end]
        ]
        rows.append(np.concatenate([vectors[tokens[start:end]].mean(0), np.mean(of_others, axis=0)]))
    features = np.array(rows)
    regression = ridge(features, features, wanted / np.linalg.norm(wanted, axis=1, keepdims=True))
    states = (sums + EXPECTED * expected) / (given.counts + EXPECTED)[:, None]
    predicted = np.concatenate([vectors, states], axis=1) @ regression
    values, directions = np.linalg.eigh((features @ regression).T @ (features @ regression))
    largest = directions[:, np.argsort(-values)[:8]]
    batch = training.lay_out(tokens, offsets, np.arange(200))
    known = (model.embedding, given.sums, given.counts, given.pieces)
    tensors = [torch.from_numpy(each.astype(np.float32)) for each in known]
    sides = [torch.from_numpy(each.astype(np.float32)) for each in (given.embeddings, targets)]
    found, rotation = in_context(*tensors, [(batch, *sides)])
    scale = np.linalg.norm(vectors, axis=1).mean() / np.linalg.norm(predicted @ largest, axis=1).mean()
    np.testing.assert_allclose(found @ rotation, scale * predicted @ largest @ largest.T, atol=1e-3)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(8), atol=1e-5)


def test_vectors_in_context_begin_with_a_lower_loss_than_aligned_ones(data):
    truth = np.stack([context(data)[1][data[1][a:b]].mean(0) for a, b in itertools.pairwise(data[2])])
    data = (*data[:3], truth.astype(np.float16))
    _, report = in_context_of(data, context(data)[0])
    _, aligned = training.train(*data, replace(SETTINGS, initial="aligned"), "cpu")
    assert report["curve"][0]["validation_loss"] < 0.9 * aligned["curve"][0]["validation_loss"]


def test_held_out_sentences_are_taken_out_of_their_context(data):
    """As if never counted, where each state is the sentence's own embedding; and so is a token of them alone."""
    model, tokens, offsets, targets = data
    rows, held_out = training.split(offsets, SETTINGS)
    tokens = np.where(tokens == 7, 8, tokens)
    tokens[offsets[held_out[0]]] = 7
    vectors, read = torch.from_numpy(model.embedding), training.Data(tokens, offsets, targets, "cpu")
    pieces = np.where(np.arange(50) == 9, 2, 1).astype(np.float32)

    def summed(rows):
        sums, counts = np.zeros((50, 12), np.float32), np.zeros(50, np.float32)
        for row in rows:
            of_row = tokens[offsets[row] : offsets[row + 1]]
            np.add.at(sums, of_row, targets[row].astype(np.float32) * pieces[of_row, None])
            np.add.at(counts, of_row, 1)
        return training.Context(sums, counts, pieces, targets)

    every = summed(range(200))
    every.sums[7] += 9
    found, rotation = training.begin_in_context(vectors, every, read, rows, held_out)
    others = [torch.from_numpy(each) for each in (summed(rows).sums, summed(rows).counts, pieces)]
    own = torch.from_numpy(targets[np.sort(rows)].astype(np.float32))
    expected, wanted = in_context(vectors, *others, [(lay_out(tokens, offsets, np.sort(rows)), own, own)])
    np.testing.assert_allclose(found @ rotation, expected @ wanted, atol=1e-3)


def test_rare_tokens_keep_a_share_of_what_they_learned(data):
    """Half at as many occurrences as the strength; a token that does not occur stays where it was aligned."""
    model, tokens, offsets, targets = data
    tokens = np.where(tokens == 7, 8, tokens)
    held_out = np.isin(np.repeat(np.arange(200), np.diff(offsets)), training.split(offsets, SETTINGS)[1])
    counts = np.bincount(tokens[~held_out], minlength=50)
    before, plain, shrunk = (
        training.train(model, tokens, offsets, targets, replace(SETTINGS, initial="aligned", **each), "cpu")[
            0
        ].embedding
        for each in ({"epochs": 0}, {"shrinkage": 0}, {"shrinkage": int(counts[3])})
    )
    np.testing.assert_allclose(shrunk[3], (before[3] + plain[3]) / 2, rtol=1e-4, atol=1e-5)
    share = (counts / (counts + counts[3]))[:, None]
    np.testing.assert_allclose(shrunk, before + share * (plain - before), rtol=1e-3, atol=1e-5)
    assert counts[7] == 0 and (plain[7] == before[7]).all() and not np.allclose(plain[3], before[3])


@pytest.fixture(scope="module")
def folders(teacher_folder, sentences, tmp_path_factory):
    """A distilled model, two shards of 150 sentences, and synthetic embeddings of them, which depend on their words."""
    folder = tmp_path_factory.mktemp("train")
    distilled(teacher_folder, folder / "distilled")
    truth = np.random.default_rng(0).normal(3, 1, size=(2000, 32))
    for i in range(2):
        own = sentences[150 * i : 150 * (i + 1)]
        tokens, offsets = tokenize(load_static_model(folder / "distilled"), own)
        shard = write_shard(folder / "shards" / f"0000{i}.parquet", own)
        means = np.stack([truth[tokens[a:b]].mean(0) for a, b in itertools.pairwise(offsets)])
        ids, counts = np.unique(tokens, return_counts=True)
        names = [load_static_model(folder / "distilled").tokens[i] for i in ids]
        write_token_sums(write_embeddings(shard, means), names, counts, truth[ids] * counts[:, None])
    return folder


def run_main(folders, output, *extra, count=280, **changes):
    settings = {"loss": "cosine", "temperature": 0.1, "batch_size": 32, "seed": 0}
    settings |= {"learning_rate": 0.01, "epochs": 2, "patience": 2} | changes
    argv = ["--student", folders / "distilled", "--sentences", folders / "shards"]
    argv += ["--count", count, "--output", output, *(extra or teacher_shards(folders))]
    for name, value in settings.items():
        argv += ["--" + name.replace("_", "-"), value]
    train.main([str(part) for part in argv])
    return json.loads((output / "training.json").read_text(encoding="utf-8"))


def teacher_shards(folders):
    return ["--embeddings", folders / "shards"]


@pytest.mark.parametrize("loss", ["cosine", "contrastive"])
def test_main_writes_a_model_and_how_it_was_trained(folders, tmp_path, loss):
    report = run_main(folders, tmp_path / "model", loss=loss)
    before, after = (StaticModel.from_pretrained(p) for p in [folders / "distilled", tmp_path / "model"])
    assert after.tokens == before.tokens
    assert after.embedding.shape == before.embedding.shape
    assert report["train_sentences"] + report["validation_sentences"] == 280
    assert len(report["curve"]) == 3
    assert report["settings"]["loss"] == loss
    assert report["targets"] == "teacher"
    assert report["model_sha256"] == sha256(tmp_path / "model" / "model.safetensors")
    assert report["student_sha256"] == sha256(folders / "distilled" / "model.safetensors")
    assert report["versions"]["torch"] == torch.__version__.partition("+")[0] or torch.__version__
    assert np.allclose(np.linalg.norm(after.encode(["The boat under the wave."]), axis=1), 1, atol=1e-5)


def test_main_learns_from_the_generation_before(folders, tmp_path):
    """A generation that learns from the very model that it begins with has nothing to learn."""
    report = run_main(folders, tmp_path / "model", "--previous", folders / "distilled")
    assert report["targets"] == "previous generation"
    assert report["curve"][0]["validation_loss"] < 0.05


def test_main_gives_the_same_bytes_again(folders, tmp_path):
    first, again = (run_main(folders, tmp_path / name)["model_sha256"] for name in ["first", "again"])
    assert first == again


def test_main_goes_on_where_it_was_interrupted(folders, tmp_path, monkeypatch, capsys):
    expected = run_main(folders, tmp_path / "whole", epochs=3)
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        interrupt(patch, 2)
        run_main(folders, tmp_path / "model", epochs=3)
    left = {path.name for path in tmp_path.iterdir()} - {"whole"}
    assert len(left) == 1
    capsys.readouterr()
    report = run_main(folders, tmp_path / "model", epochs=3)
    assert "after epoch 1" in capsys.readouterr().err
    assert report["model_sha256"] == expected["model_sha256"]
    assert {path.name for path in tmp_path.iterdir()} == {"whole", "model"}


@pytest.mark.parametrize("change", [{"seed": 1}, {"count": 270}, {"code": "other"}])
def test_main_begins_anew_with_other_settings_or_code(folders, tmp_path, monkeypatch, capsys, change):
    for name in ("one", "other"):
        (tmp_path / name).write_text(name)
    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        interrupt(patch, 2)
        run_main(folders, tmp_path / "model", code=tmp_path / "one")
    capsys.readouterr()
    run_main(folders, tmp_path / "model", **change | {"code": tmp_path / change.get("code", "one")})
    assert "epoch 1 of 2" in capsys.readouterr().err


def copied_shards(folders, tmp_path, second):
    """The first shard, and other embeddings of the second one's sentences."""
    shutil.copytree(folders / "shards", tmp_path / "shards")
    shutil.copy(folders / "manifest.json", tmp_path)
    write_embeddings(tmp_path / "shards" / "00001.parquet", second)
    return tmp_path / "shards"


def test_a_shard_of_other_sentences_is_named(folders, tmp_path):
    shards = copied_shards(folders, tmp_path, np.zeros((150, 32)))
    write_shard(shards / "00001.parquet", ["one", "two"])
    with pytest.raises(InputError, match=r"00001\.npy"):
        teacher_targets(shards, shards, 2, 152)


def test_the_teachers_targets_are_centred_and_in_the_order_asked_for(folders):
    found = teacher_targets(folders / "shards", folders / "shards", 2, 200)
    rows = np.concatenate([np.load(folders / "shards" / f"0000{i}.npy") for i in range(2)]).astype(float)
    order = np.random.default_rng(0).permutation(200)
    assert found[order].dtype == np.float32
    np.testing.assert_allclose(found[order], (rows - rows[:200].mean(0))[order], atol=1e-5)


def test_the_teachers_targets_are_reduced_to_principal_components(folders):
    found = teacher_targets(folders / "shards", folders / "shards", 2, 200, dimensions=5)
    rows = np.concatenate([np.load(folders / "shards" / f"0000{i}.npy") for i in range(2)])[:200].astype(float)
    expected = PCA(5).fit_transform(rows)
    reduced = found[np.arange(200)]
    assert found.shape == (300, 5)
    np.testing.assert_allclose(np.abs(reduced), np.abs(expected), atol=1e-3)


def other_teacher(folders, tmp_path):
    """Another teacher's embeddings of the same sentences, beside links to their shards."""
    shutil.copytree(folders / "shards", tmp_path / "shards")
    shutil.copy(folders / "manifest.json", tmp_path)
    for number in range(2):
        write_embeddings(tmp_path / "shards" / f"0000{number}.parquet", random_rows(150, 7, number).numpy() * 9)
    return tmp_path / "shards"


def test_the_cosines_of_several_teachers_targets_are_the_mean_of_theirs(folders, tmp_path):
    both = [folders / "shards", other_teacher(folders, tmp_path)]
    found = targets_of_all(both, folders / "shards", 2, 300)
    rows = np.random.default_rng(0).permutation(300)
    of_each = [torch.from_numpy(teacher_targets(each, folders / "shards", 2, 300)[rows]) for each in both]
    together = torch.from_numpy(found[rows])
    assert found.shape == (300, 32 + 7) and len(found) == 300 and together.dtype == torch.float32
    expected = np.mean([cosine_matrix(each, each) for each in of_each], axis=0)
    np.testing.assert_allclose(cosine_matrix(together, together), expected, atol=1e-5)
    alone = targets_of_all(both[:1], folders / "shards", 2, 300)
    np.testing.assert_array_equal(alone[rows], of_each[0].numpy())
    with pytest.raises(InputError, match="cosine"):
        targets_of_all(both, folders / "shards", 2, 300, dimensions=16)


def test_a_student_of_two_teachers_is_another_than_of_one(folders, tmp_path):
    other = other_teacher(folders, tmp_path)
    run_main(folders, tmp_path / "one")
    run_main(folders, tmp_path / "two", "--embeddings", folders / "shards", other)
    first, second = (load_static_model(tmp_path / name).embedding for name in ("one", "two"))
    assert first.shape == second.shape and not np.allclose(first, second)


def test_the_targets_of_the_generation_before_are_its_embeddings(folders, sentences, tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "SENTENCES_AT_ONCE", 64)
    model = load_static_model(folders / "distilled")
    found = previous_targets(model, sentences, tmp_path / "targets.npy")
    rows = np.random.default_rng(0).permutation(len(sentences))
    np.testing.assert_array_equal(found[rows], model.encode([sentences[row] for row in rows]))


def test_a_shard_of_another_width_is_named(folders, tmp_path):
    shards = copied_shards(folders, tmp_path, np.zeros((150, 31)))
    with pytest.raises(InputError, match=r"00001\.npy: .*32.*31"):
        teacher_targets(shards, shards, 2, 300)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json", HASHES])
@pytest.mark.parametrize("stage", ["student", "previous"])
def test_a_model_whose_files_are_not_as_they_were_made_is_refused(folders, tmp_path, stage, name):
    copied = tmp_path / "copied"
    shutil.copytree(folders, copied)
    run_main(copied, copied / "previous")
    damaged = copied / {"student": "distilled", "previous": "previous"}[stage] / name
    if name == HASHES:
        damaged.unlink()
    else:
        content = bytearray(damaged.read_bytes())
        content[-5] ^= 1
        damaged.write_bytes(content)
    with pytest.raises(InputError, match=re.escape(str(damaged.parent))):
        run_main(copied, tmp_path / "next", "--previous", copied / "previous")
    assert not (tmp_path / "next").exists()


def test_main_begins_with_the_context_of_all_shards(folders, tmp_path):
    """For the teacher's targets and the generation before; each state is the same everywhere, so much is known."""
    context = ["--context", folders / "shards"]
    aligned = run_main(folders, tmp_path / "aligned", initial="aligned")
    report = run_main(folders, tmp_path / "model", *teacher_shards(folders), *context, initial="contextual")
    assert report["curve"][0]["validation_loss"] < 0.5 * aligned["curve"][0]["validation_loss"]
    again = run_main(folders, tmp_path / "again", *teacher_shards(folders), *context, initial="contextual")
    assert again["model_sha256"] == report["model_sha256"]
    previous = ["--previous", tmp_path / "model"]
    generation = run_main(folders, tmp_path / "next", *previous, *context, initial="contextual")
    assert generation["curve"][0]["validation_loss"] < 0.5 * aligned["curve"][0]["validation_loss"]


def test_a_context_serves_several_teachers(folders, tmp_path):
    """It is the first one's, and the targets are of both."""
    given = ["--embeddings", folders / "shards", other_teacher(folders, tmp_path)]
    aligned = run_main(folders, tmp_path / "aligned", *given, initial="aligned")["curve"]
    curve = run_main(folders, tmp_path / "in", *given, "--context", folders / "shards", initial="contextual")["curve"]
    assert curve[0]["validation_loss"] < aligned[0]["validation_loss"]


def test_a_context_serves_the_contrastive_loss(folders, tmp_path):
    given = [*teacher_shards(folders), "--context", folders / "shards"]
    curve = run_main(folders, tmp_path / "model", *given, initial="contextual", loss="contrastive")["curve"]
    assert curve[-1]["validation_loss"] < curve[0]["validation_loss"]


def test_a_context_without_the_setting_or_the_other_way_round_is_refused(folders, tmp_path):
    for more, initial in [(["--context", folders / "shards"], "aligned"), ([], "contextual")]:
        with pytest.raises(InputError, match="--context"):
            run_main(folders, tmp_path / "model", *teacher_shards(folders), *more, initial=initial)


def test_a_student_with_other_tokens_than_the_teacher_is_refused(folders, tmp_path):
    shards = copied_shards(folders, tmp_path, np.ones((150, 32)))
    for number in range(2):
        write_token_sums(shards / f"0000{number}.npy", ["▁the", "▁of"], np.array([3, 2]), np.ones((2, 32)))
    with pytest.raises(InputError, match=r"training\.initial: contextual.* 0 %"):
        run_main(folders, tmp_path / "model", "--embeddings", shards, "--context", shards, initial="contextual")
    assert not (tmp_path / "model").exists()


def test_shards_of_two_teachers_are_not_mixed(folders, tmp_path):
    shards = copied_shards(folders, tmp_path, np.ones((150, 32)))
    about = shards / "00001.json"
    about.write_text(json.dumps(json.loads(about.read_text(encoding="utf-8")) | {"teacher_sha256": "another"}))
    with pytest.raises(InputError, match=r"00001\.npy.*teacher"):
        teacher_targets(shards, shards, 2, 300)


@pytest.mark.parametrize("dimensions", [None, 64])
def test_the_teachers_targets_are_read_by_the_batch_and_never_held(tmp_path, dimensions):
    for i in range(12):
        shard = write_shard(tmp_path / "sentences" / f"{i:05d}.parquet", [str(row) for row in range(4096)])
        write_embeddings(shard, random_rows(4096, 256, seed=i).numpy() + 0.5)
    tracemalloc.start()
    try:
        shards = tmp_path / "sentences"
        found = teacher_targets(shards, shards, 12, 12 * 4096, dimensions)
        batches = [np.arange(start, start + 1024) for start in range(0, 12 * 4096, 1024)]
        means = [found[rows].mean(axis=0, dtype=np.float64) for rows in batches]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert np.abs(np.mean(means, axis=0)).max() < 1e-3
    assert peak < 6 * 4096 * 256 * 2  # six shards of twelve
