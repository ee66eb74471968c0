# Teacher: sentence shards -> teacher embeddings, a job for each shard.
#
# needs  <sources>/{slug}/ of the teacher, <results>/corpus/sentences/{shard}.parquet
# makes  <results>/teacher/teacher.json   what the teacher is, once it was found fit
#        <results>/teacher/{shard}.npy    [rows, teacher's dimensions] float16, row i of sentence i


rule check_teacher:
    """Find a teacher without weights, or too narrow for the models, before the expensive work."""
    input:
        script=script("check_teacher"),
        lib=library("check_teacher"),
        teacher=source_path(config["teacher"]["source"]),
    output:
        "<results>/teacher/teacher.json",
    log:
        "<logs>/check_teacher.log",
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=4000,
        runtime=20,
    params:
        source=config["teacher"]["source"],
        max_length=config["teacher"]["max_length"],
        pooling=config["teacher"]["pooling"],
        dimensions=max(model["dimensions"] for model in MODELS.values()),
    shell:
        "python {input.script:q} --teacher {input.teacher:q} --source {params.source:q} --pooling {params.pooling}"
        " --max-length {params.max_length} --dimensions {params.dimensions} --output {output:q} 2>&1 | tee {log:q}"


rule embed:
    """Embed one shard of sentences with the teacher."""
    input:
        script=script("embed"),
        lib=library("embed"),
        # ancient: checking another width embeds nothing again
        checked=ancient("<results>/teacher/teacher.json"),
        teacher=source_path(config["teacher"]["source"]),
        sentences="<results>/corpus/sentences/{shard}.parquet",
    output:
        ensure("<results>/teacher/{shard}.npy", non_empty=True),
    log:
        "<logs>/embed/{shard}.log",
    benchmark:
        "<benchmarks>/embed/{shard}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 8
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        max_length=config["teacher"]["max_length"],
        pooling=config["teacher"]["pooling"],
    shell:
        "python {input.script:q} --sentences {input.sentences:q} --teacher {input.teacher:q}"
        " --max-length {params.max_length} --pooling {params.pooling} --gpu {resources.gpu} --threads {threads}"
        " --output {output:q} 2>&1 | tee {log:q}"
