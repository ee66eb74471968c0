# Student: teacher, sentences and embeddings -> static models at every training stage.
#
# needs  <sources>/{slug}/ of the teacher, <results>/corpus/sentences/{shard}.parquet, <results>/teacher/{shard}.npy
# makes  <results>/models/{model}/distilled/                 model2vec's distillation of the teacher
#        <results>/models/{model}/tokenlearn/                trained by tokenlearn, for comparison
#        <results>/models/{model}/pretrained/                trained on the teacher's embeddings
#        <results>/models/{model}/born-again-{generation}/   a fresh student of the previous generation
#        <results>/models/{model}/derived/                   another model with fewer dimensions or shared vectors


rule distill:
    """Distill the teacher's token embeddings into a static model (model2vec)."""
    input:
        script=script("distill"),
        lib=library("distill"),
        teacher=source_input(config["teacher"]["source"]),
        teacher_files=files_of(config["teacher"]["source"]),
        checked="<results>/teacher/checked.json",
        vocabulary=lambda wildcards: (
            []
            if family.vocabulary(wildcards.model) == "teacher"
            else f"<results>/corpus/vocabulary/{wildcards.model}.txt"
        ),
    output:
        multiext("<results>/models/{model}/distilled/", *FILES["distilled"]),
    log:
        "<logs>/distill/{model}.log",
    benchmark:
        "<benchmarks>/distill/{model}.tsv"
    wildcard_constraints:
        model=any_of(family.trained),
    priority: 45
    conda:
        "../envs/pipeline.yaml"
    threads: 4
    resources:
        gpu=1,
        mem_mb=memory(distillation_memory),
        runtime=runtime(distillation_minutes),
    params:
        model=folder_of_output,
        dimensions=lambda wildcards: family.dimensions(wildcards.model),
        vocabulary=lambda wildcards, input: options(vocabulary=input.vocabulary or None),
    shell:
        "python {input.script:q} --teacher {input.teacher:q} --checked {input.checked:q}"
        " --dimensions {params.dimensions} {params.vocabulary:q} --gpu {resources.gpu} --threads {threads}"
        " --output {params.model:q} 2>&1 | tee {log:q}"


rule train_tokenlearn:
    """Train a distilled model with tokenlearn's released trainer, to compare with ours."""
    input:
        script=script("train_tokenlearn"),
        lib=library("train_tokenlearn"),
        student=lambda wildcards: family.files(wildcards.model, "distilled"),
        sentences=sentence_shards,
        embeddings=lambda wildcards: embedding_shards(wildcards, TEACHERS[:1]),
    output:
        multiext("<results>/models/{model}/tokenlearn/", *TRAINED_FILES),
    log:
        "<logs>/train_tokenlearn/{model}.log",
    benchmark:
        "<benchmarks>/train_tokenlearn/{model}.tsv"
    wildcard_constraints:
        model=any_of(family.trained),
    priority: 20
    conda:
        "../envs/pipeline.yaml"
    threads: 4
    resources:
        gpu=1,
        mem_mb=memory(tokenlearn_memory),
        runtime=runtime(tokenlearn_minutes, 30),
    params:
        model=folder_of_output,
        student=folder_of_input("student"),
        sentences=folder_of_input("sentences"),
        embeddings=folder_of_input("embeddings"),
        sentence_count=lambda wildcards: family.sentences_of(wildcards.model),
        seed=lambda wildcards: family.training(wildcards.model)["seed"],
    shell:
        "python {input.script:q} --student {params.student:q} --sentences {params.sentences:q}"
        " --count {params.sentence_count} --embeddings {params.embeddings:q} --seed {params.seed}"
        " --gpu {resources.gpu} --threads {threads} --output {params.model:q} 2>&1 | tee {log:q}"


rule pretrain:
    """Train a distilled model on the teacher's sentence embeddings."""
    input:
        script=script("train"),
        lib=library("train"),
        student=lambda wildcards: family.files(wildcards.model, "distilled"),
        sentences=sentence_shards,
        embeddings=embedding_shards,
        context=context_shards,
    output:
        multiext("<results>/models/{model}/pretrained/", *TRAINED_FILES),
    log:
        "<logs>/pretrain/{model}.log",
    benchmark:
        "<benchmarks>/pretrain/{model}.tsv"
    wildcard_constraints:
        model=any_of(family.trained),
    priority: 30
    conda:
        "../envs/pipeline.yaml"
    threads: 4
    resources:
        gpu=1,
        mem_mb=memory(training_memory),
        runtime=runtime(training_minutes),
    params:
        model=folder_of_output,
        student=folder_of_input("student"),
        sentences=folder_of_input("sentences"),
        targets=lambda wildcards, input: ["--embeddings", *folders_of_input("embeddings")(wildcards, input)],
        context=context_option,
        sentence_count=lambda wildcards: family.sentences_of(wildcards.model),
        training=training_settings,
    shell:
        "python {input.script:q} --student {params.student:q} --sentences {params.sentences:q}"
        " --count {params.sentence_count} {params.targets:q} {params.context:q} {params.training:q}"
        " --code {input.script:q} {input.lib:q}"
        " --gpu {resources.gpu} --threads {threads} --output {params.model:q} 2>&1 | tee {log:q}"


use rule pretrain as train_born_again with:
    """Train a distilled model on the sentence embeddings of the previous generation."""
    input:
        script=script("train"),
        lib=library("train"),
        student=lambda wildcards: family.files(wildcards.model, "distilled"),
        sentences=sentence_shards,
        previous=lambda wildcards: family.files(wildcards.model, trained_stage(int(wildcards.generation) - 1)),
        context=context_shards,
    output:
        multiext("<results>/models/{model}/born-again-{generation}/", *TRAINED_FILES),
    log:
        "<logs>/train_born_again/{model}-{generation}.log",
    benchmark:
        "<benchmarks>/train_born_again/{model}-{generation}.tsv"
    params:
        model=folder_of_output,
        student=folder_of_input("student"),
        sentences=folder_of_input("sentences"),
        targets=lambda wildcards, input: ["--previous", str(Path(input.previous[0]).parent)],
        context=context_option,
        sentence_count=lambda wildcards: family.sentences_of(wildcards.model),
        training=training_settings,


rule derive:
    """Derive a model from another one's released stage: fewer dimensions, vectors shared by tokens, or both."""
    input:
        script=script("derive"),
        lib=library("derive"),
        model=lambda wildcards: family.released_files(MODELS[wildcards.model]["from"]),
        sentences=sentence_shards,
        embeddings=lambda wildcards: embedding_shards(wildcards) if family.trains_clusters(wildcards.model) else [],
    output:
        multiext("<results>/models/{model}/derived/", *FILES["derived"]),
    log:
        "<logs>/derive/{model}.log",
    benchmark:
        "<benchmarks>/derive/{model}.tsv"
    wildcard_constraints:
        model=any_of(family.derived),
    priority: 30
    conda:
        "../envs/pipeline.yaml"
    threads: 4
    resources:
        gpu=lambda wildcards: int(family.trains_clusters(wildcards.model)),
        mem_mb=memory(training_memory),
        runtime=runtime(training_minutes),
    params:
        model=folder_of_output,
        source=folder_of_input("model"),
        sentences=folder_of_input("sentences"),
        sentence_count=lambda wildcards: family.sentences_of(wildcards.model),
        derivation=lambda wildcards: options(
            dimensions=MODELS[wildcards.model].get("dimensions"),
            clusters=MODELS[wildcards.model].get("clusters"),
        ),
        embeddings=folders_of_input("embeddings"),
        training=training_settings,
    shell:
        "python {input.script:q} --model {params.source:q} {params.derivation:q} --embeddings {params.embeddings:q}"
        " --sentences {params.sentences:q}"
        " --count {params.sentence_count} {params.training:q}"
        " --code {input.script:q} {input.lib:q}"
        " --gpu {resources.gpu} --threads {threads} --output {params.model:q} 2>&1 | tee {log:q}"
