# What jobs ask for beside threads, as functions of what they work on; docs/scale.md has the runs that these were fitted
# to. A file that is not there yet makes Snakemake ask again later. Memory grows with each attempt. No rules.


def megabytes(*paths):
    """The size of files, in MB."""
    return sum(os.path.getsize(path) for path in paths) / 1e6


def weights(folder):
    """The size of a model's weights, in MB."""
    os.stat(folder)
    return weights_size(folder) / 1e6


def memory(needed):
    """The resource ``mem_mb``: MB, or a function of wildcards and input that gives them; more with each attempt."""
    return lambda wildcards, input, attempt: attempt * round(needed(wildcards, input) if callable(needed) else needed)


def sampling_memory(wildcards, input):
    """Test texts by the hashes of their words, sentences by their length, and a process a thread."""
    return 2000 + 0.5 * megabytes(*input.tasks) + family.sentences / 1000


def embedding_memory(wildcards, input):
    """Weights, as they are read and as they are used, and a shard's tokens and embeddings."""
    return 1500 + 4 * weights(input.teacher) + family.shard_size / 1000


def embedding_minutes(wildcards, input):
    """Three times what two cores without bfloat16 took, by weights and sentences."""
    return round(10 + 4e-6 * weights(input.teacher) * family.shard_size)


def distillation_memory(wildcards, input):
    """Weights, as they are read and as they are used, and the embeddings of all tokens."""
    return 2500 + 4 * weights(input.teacher)


def distillation_minutes(wildcards, input):
    """By weights and by tokens: the teacher's, about 30,000, and the added words."""
    added = family.vocabulary(wildcards.model)
    return round(10 + 0.05 * weights(input.teacher) * (1 + (0 if added == "teacher" else added) / 30000))


def training_memory(wildcards, input):
    """Texts and tokens by their number; targets are read by the batch."""
    return 2000 + family.sentences_of(wildcards.model) / 1000


def training_minutes(wildcards):
    """Three times what two cores took, by sentences and epochs."""
    return round(10 + 5e-6 * family.sentences_of(wildcards.model) * family.training(wildcards.model)["epochs"])


def tokenlearn_memory(wildcards, input):
    """Texts, tokens and all targets, as they are read and as they are reduced."""
    return 3000 + family.sentences_of(wildcards.model) / 100 + 6 * megabytes(*input.embeddings)


def tokenlearn_minutes(wildcards):
    """Three times what two cores took, by sentences."""
    return round(30 + 3e-4 * family.sentences_of(wildcards.model))


def scoring_memory(wildcards, input):
    """By the tasks' data, of which the largest test split is held with its embeddings."""
    dimensions = family.dimensions(wildcards.model)
    return 2000 + (0.5 + dimensions / 512) * megabytes(*input.tasks)


def scoring_minutes(wildcards, input):
    """By the tasks' data."""
    return round(20 + 0.03 * megabytes(*input.tasks))


def baseline_memory(wildcards, input):
    """As a model's, with a transformer's weights and more dimensions."""
    return 2500 + 4 * weights(input.model) + 2 * megabytes(*input.tasks)


def baseline_minutes(wildcards, input):
    """At most a day: scores are cached, and the next attempt goes on."""
    if is_static_model(input.model):
        return scoring_minutes(wildcards, input)
    return min(24 * 60, round(60 + 0.01 * weights(input.model) * megabytes(*input.tasks)))


def speed_memory(wildcards, input):
    """As a baseline's, of all at once, and the int8 models, which are small."""
    return 3000 + 4 * sum(map(weights, input.baselines))


def baseline_gpus(wildcards, input):
    """A GPU for a transformer."""
    os.stat(input.model)
    return 0 if is_static_model(input.model) else 1
