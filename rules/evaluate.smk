# Evaluate: models and baselines -> one of mteb's JSON files for each (model, stage, task).
#
# needs  <results>/models/{model}/{stage}/, <sources>/{slug}/ of baselines and custom tasks
# makes  <sources>/tasks/{task}/                             what one of mteb's tasks scores, downloaded once
#        <results>/tasks/{task}/                             a custom task's splits, as parquet
#        <results>/mteb/results/{model}/{stage}/{task}.json        the score of a stage
#        <results>/mteb/results/{baseline}/baseline/{task}.json    the score of a baseline
#        <results>/mteb/results/{model}/{stage}/model_meta.json    whose they are; so mteb reads the folder as its own


rule fetch_task:
    """Download what one of mteb's tasks scores, for all models and runs."""
    input:
        script=script("fetch_task"),
        lib=library("fetch_task"),
    output:
        directory("<sources>/tasks/{task}"),
    log:
        "<logs>/fetch_task/{task}.log",
    retries: 2
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        "python {input.script:q} --task {wildcards.task} --output {output:q} 2>&1 | tee {log:q}"


rule prepare_task:
    """Turn a custom task's raw file into splits that mteb reads."""
    input:
        script=script("prepare_task"),
        lib=library("prepare_task"),
        source=custom_task_path,
        files=custom_task_files,
    output:
        directory("<results>/tasks/{task}"),
    log:
        "<logs>/prepare_task/{task}.log",
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        task=custom_task,
    shell:
        "python {input.script:q} --name {wildcards.task} --source {input.source:q} {params.task:q} --output {output:q}"
        " 2>&1 | tee {log:q}"


rule evaluate_model:
    """Score a model's stage on a task."""
    input:
        script=script("evaluate"),
        lib=library("evaluate"),
        model="<results>/models/{model}/{stage}",
        data=task_data,
    output:
        "<results>/mteb/results/{model}/{stage}/{task}.json",
    log:
        "<logs>/evaluate/{model}/{stage}/{task}.log",
    benchmark:
        "<benchmarks>/evaluate/{model}/{stage}/{task}.tsv"
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        task=task_type,
    shell:
        "python {input.script:q} --model {input.model:q} --name {wildcards.model} --revision {wildcards.stage}"
        " --task {wildcards.task} --task-data {input.data:q} {params.task:q} --threads {threads} --output {output:q}"
        " 2>&1 | tee {log:q}"


rule evaluate_baseline:
    """Score a baseline, which may be a transformer, on a task by the same script."""
    input:
        script=script("evaluate"),
        lib=library("evaluate"),
        model=baseline_path,
        files=baseline_files,
        data=task_data,
    output:
        "<results>/mteb/results/{baseline}/baseline/{task}.json",
    log:
        "<logs>/evaluate/{baseline}/baseline/{task}.log",
    benchmark:
        "<benchmarks>/evaluate/{baseline}/baseline/{task}.tsv"
    conda:
        "../envs/pipeline.yaml"
    threads: 4
    resources:
        gpu=1,
        mem_mb=8000,
        runtime=240,
    params:
        task=task_type,
    shell:
        "python {input.script:q} --model {input.model:q} --name {wildcards.baseline} --revision baseline"
        " --task {wildcards.task} --task-data {input.data:q} {params.task:q} --gpu {resources.gpu} --threads {threads}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule model_metas:
    """Write beside the results whose they are, so that mteb's own tools read the folder."""
    input:
        script=script("model_metas"),
        lib=library("model_metas"),
    output:
        [f"<results>/mteb/results/{model}/{stage}/model_meta.json" for model, stage in SCORED],
    log:
        "<logs>/model_metas.log",
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=1000,
        runtime=10,
    shell:
        "python {input.script:q} --outputs {output:q} 2>&1 | tee {log:q}"
