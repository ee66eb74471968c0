# Export: trained models -> int8 models and release folders.
#
# needs  <results>/models/{model}/{released stage}/, <results>/summary.json
# makes  <results>/models/{model}/int8/   quantized
#        <results>/release/{model}/       float32 with int8/, or a clustered model; and a model card


rule quantize:
    """Quantize a model's released stage to int8 and measure what that changes."""
    input:
        script=script("quantize"),
        lib=library("quantize"),
        model=released_model,
        sentences=ancient("<results>/corpus/sentences/00000.parquet"),
    output:
        multiext("<results>/models/{model}/int8/", *INT8_FILES),
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
    shell:
        "python {input.script:q} --model {params.model:q} --sentences {input.sentences:q}"
        " --output {params.int8:q} 2>&1 | tee {log:q}"


rule release_model:
    """Gather a model as float32 and int8 with its model card."""
    input:
        script=script("release"),
        lib=library("release"),
        model=float32_model,
        int8=multiext("<results>/models/{model}/int8/", *INT8_FILES),
        summary="<results>/summary.json",
    output:
        multiext("<results>/release/{model}/", *MODEL_FILES, "README.md"),
    log:
        "<logs>/release/{model}.log",
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=10,
    params:
        model=float32,
        int8=folder_of_input("int8"),
        release=folder_of_output,
        settings=release_settings,
    shell:
        "python {input.script:q} --name {wildcards.model} {params.model:q} --int8 {params.int8:q}"
        " --summary {input.summary:q} --settings {params.settings:q} --output {params.release:q} 2>&1 | tee {log:q}"
