# Resources of jobs besides threads, as functions of their inputs; docs/scale.md has the measurements behind them. If a
# file does not exist yet, Snakemake asks again later. Memory grows with each attempt. No rules.


def megabytes(*paths):
    """The size of files, in MB."""
    return sum(os.path.getsize(path) for path in paths) / 1e6


def weights(folder):
    """The size of a model's weights, in MB."""
    os.stat(folder)
    return weights_size(folder) / 1e6


def memory(needed):
    """The resource ``mem_mb``, from a number of MB or a function of wildcards and input; more with each attempt."""
    return lambda wildcards, input, attempt: attempt * round(needed(wildcards, input) if callable(needed) else needed)


def sampling_memory(wildcards, input):
    """Hashes of the words of test texts, the sentences, and one process per thread."""
    return 2000 + 0.5 * megabytes(*input.tasks) + family.sentences / 1000


def embedding_memory(wildcards, input):
    """Weights, as read and as used, and the tokens and embeddings of a shard."""
    return 1500 + 4 * weights(input.teacher) + family.shard_size / 1000


def embedding_minutes(wildcards, input):
    """Three times the time on two cores without bfloat16, by weights and sentences."""
    return round(10 + 4e-6 * weights(input.teacher) * family.shard_size)


def distillation_memory(wildcards, input):
    """Weights, as read and as used, and the embeddings of all tokens."""
    return 2500 + 4 * weights(input.teacher)


def distillation_minutes(wildcards, input):
    """By weights and tokens: about 30,000 of the teacher, and the added words."""
    added = family.vocabulary(wildcards.model)
    return round(10 + 0.05 * weights(input.teacher) * (1 + (0 if added == "teacher" else added) / 30000))


def training_memory(wildcards, input):
    """Texts and tokens, by their number; targets are read batch by batch."""
    return 2000 + family.sentences_of(wildcards.model) / 1000


def training_minutes(wildcards):
    """Three times the time on two cores, by sentences and epochs."""
    return round(10 + 5e-6 * family.sentences_of(wildcards.model) * family.training(wildcards.model)["epochs"])


def tokenlearn_memory(wildcards, input):
    """Texts, tokens and all targets, as read and as reduced."""
    return 3000 + family.sentences_of(wildcards.model) / 100 + 6 * megabytes(*input.embeddings)


def tokenlearn_minutes(wildcards):
    """Three times the time on two cores, by sentences."""
    return round(30 + 3e-4 * family.sentences_of(wildcards.model))


def scoring_memory(wildcards, input):
    """By the tasks' data: the largest test split is held with its embeddings."""
    dimensions = family.dimensions(wildcards.model)
    return 2000 + (0.5 + dimensions / 512) * megabytes(*input.tasks)


def scoring_minutes(wildcards, input):
    """By the tasks' data."""
    return round(20 + 0.03 * megabytes(*input.tasks))


def baseline_memory(wildcards, input):
    """Like a model, with a transformer's weights and more dimensions."""
    return 2500 + 4 * weights(input.model) + 2 * megabytes(*input.tasks)


def baseline_minutes(wildcards, input):
    """At most a day: scores are cached, so the next attempt continues."""
    if is_static_model(input.model):
        return scoring_minutes(wildcards, input)
    return min(24 * 60, round(60 + 0.01 * weights(input.model) * megabytes(*input.tasks)))


def speed_memory(wildcards, input):
    """All baselines at once, and the int8 models, which are small."""
    return 3000 + 4 * sum(map(weights, input.baselines))


def baseline_gpus(wildcards, input):
    """One GPU for a transformer."""
    os.stat(input.model)
    return 0 if is_static_model(input.model) else 1
