# Evaluate: models and baselines -> one of mteb's JSON files for each (model, stage, task).
#
# needs  <results>/models/{model}/{stage}/, <sources>/{slug}/ of baselines and custom tasks
# makes  <sources>/tasks/{task}.arrow                            the data of one of mteb's tasks, downloaded once
#        <results>/tasks/{task}.arrow                            a custom task's splits
#        <results>/mteb/results/{model}/{stage}/{task}.json      the score of a stage
#        <results>/mteb/results/{baseline}/baseline/{task}.json  the score of a baseline
#        <results>/mteb/resampled/{model}/{stage}.parquet        a bootstrap of its scores, and of a baseline's
#        <results>/mteb/cache/{model}/{stage}/{task}/            undeclared: a score with the hashes of its inputs
#        <results>/mteb/results/{model}/{stage}/model_meta.json  model and stage, for mteb's own tools


rule fetch_task:
    """Download the data of one of mteb's tasks, for all models and runs."""
    input:
        # an edited script downloads nothing again: the source's revision and hash say what is in it
        script=ancient(script("fetch_task")),
    output:
        "<sources>/tasks/{task}.arrow",
    log:
        "<logs>/fetch_task/{task}.log",
    retries: 2
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=memory(4000),
        disk_mb=10000,
        runtime=60,
    shell:
        "python {input.script:q} --task {wildcards.task} --output {output:q} 2>&1 | tee {log:q}"


rule prepare_task:
    """Turn a custom task's raw file into splits that mteb reads."""
    input:
        script=script("prepare_task"),
        lib=library("prepare_task"),
        source=lambda wildcards: source_input(CUSTOM_TASKS[wildcards.task]["source"]),
        files=lambda wildcards: files_of(CUSTOM_TASKS[wildcards.task]["source"]),
    output:
        "<results>/tasks/{task}.arrow",
    log:
        "<logs>/prepare_task/{task}.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=10,
    params:
        task=lambda wildcards: options(
            type=CUSTOM_TASKS[wildcards.task]["type"],
            format=CUSTOM_TASKS[wildcards.task]["format"],
        ),
        content=lambda wildcards: content_of(CUSTOM_TASKS[wildcards.task]["source"]),
    shell:
        "python {input.script:q} --name {wildcards.task} --source {input.source:q} {params.task:q} --output {output:q}"
        " 2>&1 | tee {log:q}"


rule evaluate_model:
    """Score a model's stage on all tasks in one process; scores that it had before are cached."""
    input:
        script=script("evaluate"),
        lib=library("evaluate"),
        model=lambda wildcards: family.files(wildcards.model, wildcards.stage),
        tasks=[task_path(task) for task in TASKS],
    output:
        scores=expand("<results>/mteb/results/{{model}}/{{stage}}/{task}.json", task=TASKS),
        resampled="<results>/mteb/resampled/{model}/{stage}.parquet",
        meta="<results>/mteb/results/{model}/{stage}/model_meta.json",
    log:
        "<logs>/evaluate/{model}/{stage}.log",
    benchmark:
        "<benchmarks>/evaluate/{model}/{stage}.tsv"
    priority: 10
    conda:
        "../envs/pipeline.yaml"
    threads: 2
    resources:
        gpu=0,
        mem_mb=memory(scoring_memory),
        runtime=runtime(scoring_minutes, 20, times=20),
    params:
        model=folder_of_input("model"),
        name="{model}",
        stage="{stage}",
        scores=folder_of_output,
        cache=f"results/{config['run']}/mteb/cache/{{model}}/{{stage}}",
        custom=as_json(family.custom_types()),
        seed=config["evaluation"]["seed"],
    shell:
        "python {input.script:q} --model {params.model:q} --name {params.name} --revision {params.stage}"
        " --tasks {input.tasks:q} --custom {params.custom:q} --gpu {resources.gpu} --threads {threads}"
        " --code {input.script:q} {input.lib:q} --cache {params.cache:q} --seed {params.seed}"
        " --resampled {output.resampled:q} --output {params.scores:q}"
        " 2>&1 | tee {log:q}"


use rule evaluate_model as evaluate_baseline with:
    """Score a baseline, which may be a transformer, on all tasks by the same script."""
    input:
        script=script("evaluate"),
        lib=library("evaluate"),
        model=lambda wildcards: source_input(BASELINES[wildcards.baseline]),
        files=lambda wildcards: files_of(BASELINES[wildcards.baseline]),
        tasks=[task_path(task) for task in TASKS],
    output:
        scores=expand("<results>/mteb/results/{{baseline}}/baseline/{task}.json", task=TASKS),
        resampled="<results>/mteb/resampled/{baseline}/baseline.parquet",
        meta="<results>/mteb/results/{baseline}/baseline/model_meta.json",
    log:
        "<logs>/evaluate/{baseline}/baseline.log",
    benchmark:
        "<benchmarks>/evaluate/{baseline}/baseline.tsv"
    priority: 0
    threads: 4
    resources:
        gpu=baseline_gpus,
        mem_mb=memory(baseline_memory),
        runtime=baseline_runtime,
    params:
        model=lambda wildcards, input: input.model,
        name="{baseline}",
        stage="baseline",
        content=lambda wildcards: content_of(BASELINES[wildcards.baseline]),
        scores=folder_of_output,
        cache=f"results/{config['run']}/mteb/cache/{{baseline}}/baseline",
        custom=as_json(family.custom_types()),
        seed=config["evaluation"]["seed"],
