# Export: trained models -> int8, float16 and ONNX models and release folders.
#
# needs  <results>/models/{model}/{released stage}/, <results>/summary.json
# makes  <results>/models/{model}/int8/      quantized
#        <results>/models/{model}/float16/   quantized
#        <results>/models/{model}/onnx/      float32 and int8
#        <results>/release/{model}/          float32 with float16/ and int8/, or for a clustered model int8 with
#                                            float32/ and float16/; onnx/ and a model card
#        <results>/published.json            on request: what was uploaded to a model hub


rule quantize:
    """Convert a model's released stage to int8 and float16, and measure the change in embeddings."""
    input:
        script=script("quantize"),
        lib=library("quantize"),
        model=lambda wildcards: family.released_files(wildcards.model),
        sentences=ancient("<results>/corpus/sentences/00000.parquet"),
    output:
        int8=multiext("<results>/models/{model}/int8/", *FILES["int8"]),
        float16=multiext("<results>/models/{model}/float16/", *FILES["float16"]),
    log:
        "<logs>/quantize/{model}.log",
    benchmark:
        "<benchmarks>/quantize/{model}.tsv"
    priority: 20
    conda:
        "../envs/pipeline.yaml"
    threads: 2
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        model=folder_of_input("model"),
        int8=folder_of_output,
        float16=lambda wildcards, output: str(Path(output.float16[0]).parent),
    shell:
        "python {input.script:q} --model {params.model:q} --sentences {input.sentences:q} --int8 {params.int8:q}"
        " --float16 {params.float16:q} 2>&1 | tee {log:q}"


rule export_onnx:
    """Export a model's released stage to ONNX, float32 and int8, and measure the change in embeddings."""
    input:
        script=script("export_onnx"),
        lib=library("export_onnx"),
        model=lambda wildcards: family.released_files(wildcards.model),
        int8=multiext("<results>/models/{model}/int8/", *FILES["int8"]),
        sentences=ancient("<results>/corpus/sentences/00000.parquet"),
    output:
        multiext("<results>/models/{model}/onnx/", *FILES["onnx"]),
    log:
        "<logs>/export_onnx/{model}.log",
    benchmark:
        "<benchmarks>/export_onnx/{model}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 2
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        model=folder_of_input("model"),
        int8=folder_of_input("int8"),
        onnx=folder_of_output,
    shell:
        "python {input.script:q} --model {params.model:q} --int8 {params.int8:q} --sentences {input.sentences:q}"
        " --output {params.onnx:q} 2>&1 | tee {log:q}"


rule release_model:
    """Write a release folder: float32, float16, int8, ONNX and a model card, if int8 loses little quality."""
    input:
        script=script("release_model"),
        lib=library("release_model"),
        float32=lambda wildcards: family.released_files(wildcards.model),
        float16=multiext("<results>/models/{model}/float16/", *FILES["float16"]),
        int8=multiext("<results>/models/{model}/int8/", *FILES["int8"]),
        onnx=multiext("<results>/models/{model}/onnx/", *FILES["onnx"]),
        summary="<results>/summary.json",
        speed="<results>/speed.json",
    output:
        multiext("<results>/release/{model}/", *MODEL_FILES, "LICENSE", "README.md"),
    log:
        "<logs>/release_model/{model}.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=10,
    params:
        float32=folder_of_input("float32"),
        float16=folder_of_input("float16"),
        int8=folder_of_input("int8"),
        onnx=folder_of_input("onnx"),
        release=folder_of_output,
        settings=lambda wildcards: as_json(family.card_settings(wildcards.model)),
        emissions=lambda wildcards: emission_options(wildcards.model),
    shell:
        "python {input.script:q} --name {wildcards.model} --float32 {params.float32:q} --float16 {params.float16:q}"
        " --int8 {params.int8:q} --onnx {params.onnx:q} --summary {input.summary:q} --speed {input.speed:q}"
        " --settings {params.settings:q} {params.emissions:q} --output {params.release:q} 2>&1 | tee {log:q}"


rule publish:
    """Upload the release folders to a model hub; only on request."""
    input:
        script=script("publish"),
        lib=library("publish"),
        releases=expand("<results>/release/{model}/README.md", model=MODELS),
        summary="<results>/summary.json",
        config="<results>/config.yaml",
    output:
        "<results>/published.json",
    log:
        "<logs>/publish.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        releases=folders_of_input("releases"),
        owner=options(owner=config["release"]["owner"]),
        settings=as_json({model: family.card_settings(model) for model in MODELS}),
        tasks=TASKS,
    shell:
        "python {input.script:q} --releases {params.releases:q} {params.owner:q} --settings {params.settings:q}"
        " --tasks {params.tasks:q} --summary {input.summary:q}"
        " --config {input.config:q} --output {output:q} 2>&1 | tee {log:q}"


rule publish_dry_run:
    """List the files that `publish` would upload, or say why it would refuse."""
    input:
        script=script("publish"),
        lib=library("publish"),
        releases=expand("<results>/release/{model}/README.md", model=MODELS),
        summary="<results>/summary.json",
        config="<results>/config.yaml",
    log:
        "<logs>/publish_dry_run.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        releases=folders_of_input("releases"),
        owner=options(owner=config["release"]["owner"]),
        settings=as_json({model: family.card_settings(model) for model in MODELS}),
        tasks=TASKS,
    shell:
        "python {input.script:q} --releases {params.releases:q} {params.owner:q} --settings {params.settings:q}"
        " --tasks {params.tasks:q} --summary {input.summary:q}"
        " --config {input.config:q} 2>&1 | tee {log:q}"
