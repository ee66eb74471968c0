# Teacher: sentence shards -> teacher embeddings, one job per shard.
#
# needs  <sources>/{slug}/ of the teacher, <results>/corpus/sentences/{shard}.parquet
# makes  <results>/teacher/checked.json    hashes of the teacher's files, after loading and testing it; notes
#        <results>/teacher/{shard}.npy     [rows, teacher's dimensions] float16, row i of sentence i
#        <results>/teacher/{shard}.tokens.parquet  how often each token occurs, and the sum of its last hidden states
#        <results>/teacher/{shard}.json    hashes of embeddings, sentences and teacher; settings, device and versions
#        <results>/teacher-{number}/       the same of the second teacher and further ones


rule check_teacher:
    """Load the teacher and test it, on the CPU, before the corpus is sampled."""
    input:
        script=script("check_teacher"),
        lib=library("check_teacher"),
        teacher=source_input(config["teacher"]["source"]),
        teacher_files=files_of(config["teacher"]["source"]),
    output:
        "<results>/teacher/checked.json",
    log:
        "<logs>/check_teacher.log",
    priority: 60
    conda:
        "../envs/pipeline.yaml"
    threads: 2
    resources:
        mem_mb=memory(distillation_memory),
        runtime=20,
    params:
        max_length=config["teacher"]["max_length"],
        pooling=config["teacher"]["pooling"],
        prompt=config["teacher"]["prompt"],
        content=lambda wildcards: content_of(config["teacher"]["source"]),
    shell:
        "python {input.script:q} --teacher {input.teacher:q} --max-length {params.max_length}"
        " --pooling {params.pooling} --prompt={params.prompt:q} --threads {threads} --output {output:q}"
        " 2>&1 | tee {log:q}"


rule embed:
    """Embed one shard of sentences with the teacher, and sum up its hidden states by token."""
    input:
        script=script("embed"),
        lib=library("embed"),
        teacher=source_input(config["teacher"]["source"]),
        teacher_files=files_of(config["teacher"]["source"]),
        checked="<results>/teacher/checked.json",
        settings="<results>/corpus/settings.json",
        sentences=ancient("<results>/corpus/sentences/{shard}.parquet"),
    output:
        embeddings=ensure("<results>/teacher/{shard}.npy", non_empty=True),
        tokens="<results>/teacher/{shard}.tokens.parquet",
        about="<results>/teacher/{shard}.json",
    log:
        "<logs>/embed/{shard}.log",
    benchmark:
        "<benchmarks>/embed/{shard}.tsv"
    priority: 40
    conda:
        "../envs/pipeline.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=memory(embedding_memory),
        runtime=runtime(embedding_minutes),
    params:
        max_length=config["teacher"]["max_length"],
        pooling=config["teacher"]["pooling"],
        prompt=config["teacher"]["prompt"],
    shell:
        "python {input.script:q} --sentences {input.sentences:q} --teacher {input.teacher:q}"
        " --checked {input.checked:q} --max-length {params.max_length} --pooling {params.pooling}"
        " --prompt={params.prompt:q} --gpu {resources.gpu} --threads {threads}"
        " --output {output.embeddings:q} 2>&1 | tee {log:q}"


use rule check_teacher as check_other_teacher with:
    """Load another teacher and test it."""
    input:
        script=script("check_teacher"),
        lib=library("check_teacher"),
        teacher=lambda wildcards: source_input(teacher_of(wildcards)["source"]),
        teacher_files=lambda wildcards: files_of(teacher_of(wildcards)["source"]),
    output:
        "<results>/teacher-{number}/checked.json",
    log:
        "<logs>/check_teacher-{number}.log",
    params:
        max_length=lambda wildcards: teacher_of(wildcards)["max_length"],
        pooling=lambda wildcards: teacher_of(wildcards)["pooling"],
        prompt=lambda wildcards: teacher_of(wildcards)["prompt"],
        content=lambda wildcards: content_of(teacher_of(wildcards)["source"]),


use rule embed as embed_by_other_teacher with:
    """Embed one shard of sentences with another teacher."""
    input:
        script=script("embed"),
        lib=library("embed"),
        teacher=lambda wildcards: source_input(teacher_of(wildcards)["source"]),
        teacher_files=lambda wildcards: files_of(teacher_of(wildcards)["source"]),
        checked="<results>/teacher-{number}/checked.json",
        settings="<results>/corpus/settings.json",
        sentences=ancient("<results>/corpus/sentences/{shard}.parquet"),
    output:
        embeddings=ensure("<results>/teacher-{number}/{shard}.npy", non_empty=True),
        tokens="<results>/teacher-{number}/{shard}.tokens.parquet",
        about="<results>/teacher-{number}/{shard}.json",
    log:
        "<logs>/embed/{number}-{shard}.log",
    benchmark:
        "<benchmarks>/embed/{number}-{shard}.tsv"
    params:
        max_length=lambda wildcards: teacher_of(wildcards)["max_length"],
        pooling=lambda wildcards: teacher_of(wildcards)["pooling"],
        prompt=lambda wildcards: teacher_of(wildcards)["prompt"],
