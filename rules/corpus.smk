# Corpus: fetched sources -> sampled sentences.
#
# needs  config: teacher, corpus, evaluation (sources), models (sentences); the data of the evaluated tasks
# makes  <sources>/{slug}/                             files of a source, downloaded once, shared by runs
#        <results>/corpus/settings.json                what decides the sample, except its size
#        <results>/corpus/sentences/{shard}.parquet    one sentence a row; a smaller sample is the beginning of a larger
#        <results>/corpus/manifest.json                documents read, sentences kept and dropped, hashes
#        <results>/corpus/vocabulary/{model}.txt       words to add to a model's vocabulary, most frequent first


rule fetch:
    """Download a source, check its hash, and unpack the file or folder that it names."""
    input:
        # ancient: an edited script downloads nothing again, because revision and hash identify the content
        script=ancient(script("fetch")),
    output:
        directory("<sources>/{slug}"),
    log:
        "<logs>/fetch/{slug}.log",
    retries: 2
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=memory(1000),
        disk_mb=5000,
        runtime=60,
    params:
        source=lambda wildcards: options(**DOWNLOADS[wildcards.slug]),
    shell:
        "python {input.script:q} {params.source:q} --output {output:q} 2>&1 | tee {log:q}"


rule write_sample_settings:
    """Write all settings that decide the sample except its size: a larger sample keeps the embeddings."""
    input:
        script=script("write_sample_settings"),
        lib=library("write_sample_settings"),
        sampler=[script("sample_sentences"), *library("sample_sentences")],
        files=[file for text in family.corpus for file in files_of(text)],
        tasks=[task_path(task) for task in family.decontaminate],
    output:
        "<results>/corpus/settings.json",
    log:
        "<logs>/write_sample_settings.log",
    # jobs that the teacher waits for come first
    priority: 50
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=30,
    params:
        settings=json.dumps(family.sample_settings(), sort_keys=True),
        content=lambda wildcards: [content_of(text) for text in family.corpus],
    shell:
        "python {input.script:q} --settings {params.settings:q} --files {input.files:q} --tasks {input.tasks:q}"
        " --output {output:q} 2>&1 | tee {log:q}"


# a checkpoint: Snakemake plans nothing behind an `ancient` input of a job that runs again, not even missing files; after
# a checkpoint it plans again
checkpoint sample_sentences:
    """Split documents into sentences, and sample clean, distinct ones in the language that are no test texts."""
    input:
        script=script("sample_sentences"),
        lib=library("sample_sentences"),
        # ancient: another teacher does not change the sample, but an unusable one fails before sampling
        teacher=ancient("<results>/teacher/checked.json"),
        settings="<results>/corpus/settings.json",
        # texts of the hub are streamed
        sources=[source_input(text) for text in family.corpus if parse_source(text).kind != "hub"],
        files=[file for text in family.corpus for file in files_of(text)],
        tasks=[task_path(task) for task in family.decontaminate],
    output:
        sentences=expand("<results>/corpus/sentences/{shard}.parquet", shard=SHARDS),
        manifest="<results>/corpus/manifest.json",
    log:
        "<logs>/sample_sentences.log",
    benchmark:
        "<benchmarks>/sample_sentences.tsv"
    priority: 50
    # files of the hub are streamed: an interrupted download begins again
    retries: 2
    conda:
        "../envs/pipeline.yaml"
    threads: 4
    resources:
        mem_mb=memory(sampling_memory),
        runtime=round(60 + 120 * family.sentences / 1e6),
    params:
        sentences=folder_of_output,
        sources=json.dumps(family.corpus),
        sentence_count=family.sentences,
        documents=config["corpus"]["documents"],
        language=options(language=config["corpus"]["language"]),
        text_key=config["corpus"]["text_key"],
        min_words=config["corpus"]["min_words"],
        max_words=config["corpus"]["max_words"],
        spans=config["corpus"]["spans"],
        span_words=config["corpus"]["span_words"],
        shard_size=family.shard_size,
        seed=config["corpus"]["seed"],
    shell:
        "python {input.script:q} --sources {params.sources:q} --paths {input.sources:q} --count {params.sentence_count}"
        " --tasks {input.tasks:q} --documents {params.documents} {params.language:q} --text-key {params.text_key:q}"
        " --min-words {params.min_words} --max-words {params.max_words} --spans {params.spans}"
        " --span-words {params.span_words} --shard-size {params.shard_size} --seed {params.seed} --threads {threads}"
        " --sentences {params.sentences:q} --manifest {output.manifest:q} 2>&1 | tee {log:q}"


rule count_vocabulary:
    """Count the words of a model's sentences and keep the most frequent."""
    input:
        script=script("count_vocabulary"),
        lib=library("count_vocabulary"),
        settings="<results>/corpus/settings.json",
        sentences=sentence_shards,
    output:
        "<results>/corpus/vocabulary/{model}.txt",
    log:
        "<logs>/count_vocabulary/{model}.log",
    priority: 30
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=memory(1000 + family.sentences / 1000),
        runtime=30,
    params:
        sentences=folder_of_input("sentences"),
        sentence_count=lambda wildcards: family.sentences_of(wildcards.model),
        size=lambda wildcards: family.vocabulary(wildcards.model),
    shell:
        "python {input.script:q} --sentences {params.sentences:q} --count {params.sentence_count} --size {params.size}"
        " --output {output:q} 2>&1 | tee {log:q}"
