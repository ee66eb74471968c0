# Resources of jobs besides threads, as functions of their inputs; docs/scale.md has the measurements behind them. If a
# file does not exist yet, Snakemake asks again later. Memory grows with each attempt. No rules.


# MB of what is not downloaded yet, by its path; the rule `plan` asks for it
EXPECTED = {}


def megabytes(*paths):
    """The size of files, in MB."""
    return sum(os.path.getsize(path) / 1e6 if path not in EXPECTED else EXPECTED[path] for path in paths)


def weights(folder):
    """The size of a model's weights, in MB."""
    if folder in EXPECTED:
        return EXPECTED[folder]
    os.stat(folder)
    return weights_size(folder) / 1e6


def memory(needed):
    """The resource ``mem_mb``, from a number of MB or a function of wildcards and input; more with each attempt."""
    return lambda wildcards, input, attempt: attempt * round(needed(wildcards, input) if callable(needed) else needed)


def runtime(minutes, least=10, times=4, most=math.inf):
    """The resource ``runtime``, from expected minutes: much more, because other machines are slower or busy."""
    return lambda wildcards, input: round(min(most, least + times * minutes(wildcards, input)))


# expected minutes are those on two cores without bfloat16


def sampling_memory(wildcards, input):
    """Hashes of the words of test texts, the sentences, and one process per thread."""
    return 2000 + 0.5 * megabytes(*input.tasks) + family.sentences / 1000


def sampling_minutes(wildcards, input):
    """By sentences; texts that are streamed from a hub take longer."""
    return 5e-6 * family.sentences


def embedding_memory(wildcards, input):
    """Weights, as read and as used, the sums by token, and the tokens and embeddings of a shard."""
    return 1500 + 4 * weights(input.teacher) + family.shard_size / 1000


def embedding_minutes(wildcards, input):
    """By weights and sentences."""
    return 1e-6 * weights(input.teacher) * family.shard_size


def distillation_memory(wildcards, input):
    """Weights, as read and as used, and the embeddings of all tokens."""
    return 2500 + 4 * weights(input.teacher)


def distillation_minutes(wildcards, input):
    """By weights and tokens: about 30,000 of the teacher, and the added words."""
    added = family.vocabulary(wildcards.model)
    return 0.0125 * weights(input.teacher) * (1 + (0 if added == "teacher" else added) / 30000)


def training_memory(wildcards, input):
    """Texts and tokens, by their number, and the sums by token; targets are read batch by batch."""
    sums = [megabytes(path) for path in getattr(input, "context", []) if path.endswith(".tokens.parquet")]
    return 2000 + family.sentences_of(wildcards.model) / 1000 + 16 * max(sums, default=0)


def training_minutes(wildcards, input):
    """By sentences and epochs."""
    return 1.25e-6 * family.sentences_of(wildcards.model) * family.training(wildcards.model)["epochs"]


def tokenlearn_memory(wildcards, input):
    """Texts, tokens and all targets, as read and as reduced."""
    return 3000 + family.sentences_of(wildcards.model) / 100 + 6 * megabytes(*input.embeddings)


def tokenlearn_minutes(wildcards, input):
    """By sentences."""
    return 4e-5 * family.sentences_of(wildcards.model)


def derivation_minutes(wildcards, input):
    """Like a training, if the shared vectors are trained."""
    return training_minutes(wildcards, input) if family.trains_clusters(wildcards.model) else 0


def scoring_memory(wildcards, input):
    """By the tasks' data: the largest test split is held with its embeddings."""
    dimensions = family.dimensions(wildcards.model)
    return 2000 + (0.5 + dimensions / 512) * megabytes(*input.tasks)


def scoring_minutes(wildcards, input):
    """By the tasks' data."""
    return 0.0015 * megabytes(*input.tasks)


def baseline_memory(wildcards, input):
    """Like a model, with a transformer's weights and more dimensions."""
    return 2500 + 4 * weights(input.model) + 2 * megabytes(*input.tasks)


def baseline_minutes(wildcards, input):
    """Like a model, or by a transformer's weights and the tasks' data."""
    if is_static_model(input.model):
        return scoring_minutes(wildcards, input)
    return 0.0025 * weights(input.model) * megabytes(*input.tasks)


def baseline_runtime(wildcards, input):
    """At most a day: scores are cached, so the next attempt continues."""
    if is_static_model(input.model):
        return runtime(scoring_minutes, 20, times=20)(wildcards, input)
    return runtime(baseline_minutes, 60, most=24 * 60)(wildcards, input)


def speed_memory(wildcards, input):
    """All baselines at once, and the int8 models, which are small."""
    return 3000 + 4 * sum(map(weights, input.baselines))


def speed_minutes(wildcards, input):
    """By models."""
    return 0.2 * (len(MODELS) + len(BASELINES))


def baseline_gpus(wildcards, input):
    """One GPU for a transformer."""
    os.stat(input.model)
    return 0 if is_static_model(input.model) else 1
