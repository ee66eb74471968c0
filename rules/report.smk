# Report: results -> the summary and the plots; `snakemake --report` combines them into one page.
#
# needs  <results>/mteb/results/{model}/{stage}/{task}.json, <results>/mteb/resampled/{model}/{stage}.parquet,
#        <results>/models/{model}/{stage}/
# makes  <results>/summary.{csv,json,md,html}
#        <results>/differences.csv           between stages, and from baselines, with their statistical significance
#        <results>/speed.json                how fast the final models and the baselines embed
#        <results>/config.yaml               the merged config, and the provenance of the run
#        <results>/plots/{stages,gains,tasks,size,speed,loss}.svg
#        <results>/plots/similarities.svg    if a task is STS
#        <results>/plots/clusters.svg        if the tokens of several models share vectors
#        <results>/costs.{md,html}           time, memory and energy of each part
#        <results>/ro-crate-metadata.json    each file's sha256, and the inputs of the run
#        <results>/submission/               scores for mteb's leaderboard, of published models; made on request
#        <results>/against/{other}.md        what changed since another run; made on request


rule plan:
    """Estimate what a whole run takes, and what it downloads; makes and downloads nothing."""
    input:
        script=script("plan"),
        lib=library("plan"),
    log:
        "<logs>/plan.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        plan=lambda wildcards: plan_of_run(),
    shell:
        "python {input.script:q} --plan {params.plan:q} 2>&1 | tee {log:q}"


rule compare_stages:
    """Compare stages with each other and with the baselines: which differences are statistically significant?"""
    input:
        script=script("compare_stages"),
        lib=library("compare_stages"),
        results=family.result_files(),
        resampled=family.resampled_files(),
    output:
        "<results>/differences.csv",
    log:
        "<logs>/compare_stages.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=10,
    params:
        custom=as_json(family.custom_types()),
        pairs=as_json(family.compared()),
        seed=config["evaluation"]["seed"],
    shell:
        "python {input.script:q} --results {input.results:q} --resampled {input.resampled:q} --custom {params.custom:q}"
        " --pairs {params.pairs:q} --seed {params.seed} --output {output:q} 2>&1 | tee {log:q}"


rule measure_speed:
    """Measure how fast the final models and the baselines embed, alternating, after all other work."""
    input:
        script=script("measure_speed"),
        lib=library("measure_speed"),
        models=[file for model in MODELS for file in family.files(model, "int8")],
        baselines=list(map(source_input, BASELINES.values())),
        files=[file for source in BASELINES.values() for file in files_of(source)],
        sentences=ancient("<results>/corpus/sentences/00000.parquet"),
    output:
        "<results>/speed.json",
    log:
        "<logs>/measure_speed.log",
    benchmark:
        "<benchmarks>/measure_speed.tsv"
    priority: -1
    conda:
        "../envs/pipeline.yaml"
    threads: 8
    resources:
        mem_mb=memory(speed_memory),
        runtime=120,
    params:
        models=folders_of_input("models"),
        names=[f"{model}/int8" for model in MODELS] + [f"{baseline}/baseline" for baseline in BASELINES],
    shell:
        "python {input.script:q} --models {params.models:q} {input.baselines:q} --names {params.names:q}"
        " --sentences {input.sentences:q} --threads {threads} --output {output:q} 2>&1 | tee {log:q}"


rule summarize:
    """Gather all results."""
    input:
        script=script("summarize"),
        lib=library("summarize"),
        results=family.result_files(),
        resampled=family.resampled_files(),
        speed="<results>/speed.json",
        tasks=[task_path(task) for task in TASKS],
        weights=[f"<results>/models/{model}/{stage}/model.safetensors" for model, stage in family.stages()],
        baselines=list(map(source_input, BASELINES.values())),
    output:
        csv="<results>/summary.csv",
        json="<results>/summary.json",
    log:
        "<logs>/summarize.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=10,
    params:
        settings=as_json(family.summary_settings(SEEDS)),
    shell:
        "python {input.script:q} --results {input.results:q} --resampled {input.resampled:q}"
        " --speed {input.speed:q} --tasks {input.tasks:q} --weights {input.weights:q} --baselines {input.baselines:q}"
        " --settings {params.settings:q} --csv {output.csv:q} --json {output.json:q} 2>&1 | tee {log:q}"


rule write_run_config:
    """Write the merged config with the commit, command, devices and versions of the run."""
    input:
        script=script("write_run_config"),
        lib=library("write_run_config"),
        summary="<results>/summary.json",
        embeddings=expand("<results>/{teacher}/{shard}.json", teacher=TEACHERS, shard=SHARDS),
        trainings=family.training_reports(),
    output:
        report(
            "<results>/config.yaml",
            caption="../report/config.rst",
            category="3. Settings and costs",
            labels={"shows": "the merged config and provenance"},
        ),
    log:
        "<logs>/write_run_config.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        config=as_json(config),
        embeddings=folders_of_input("embeddings"),
    shell:
        "python {input.script:q} --config {params.config:q} --summary {input.summary:q}"
        " --embeddings {params.embeddings:q} --trainings {input.trainings:q} --output {output:q} 2>&1 | tee {log:q}"


rule draw_plots:
    """Draw the plots: scores by stage, size, speed and shared vectors, differences, similarities, losses."""
    input:
        script=script("draw_plots"),
        lib=library("draw_plots"),
        summary="<results>/summary.json",
        differences="<results>/differences.csv",
        trainings=family.training_reports(),
        models=family.similarity_files(),
        task=[task_path(task) for task in [family.sts_task()] if task],
    output:
        [
            report(
                f"<results>/plots/{name}.svg",
                caption=f"../report/{name}.rst",
                category="2. Plots",
                labels={"shows": f"{number}. {shows}"},
            )
            for number, (name, shows) in enumerate(family.plots().items(), 1)
        ],
    log:
        "<logs>/draw_plots.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=10,
    params:
        models=folders_of_input("models"),
    shell:
        "python {input.script:q} --summary {input.summary:q} --differences {input.differences:q}"
        " --trainings {input.trainings:q} --similarities {params.models:q} --task {input.task:q}"
        " --outputs {output:q} 2>&1 | tee {log:q}"


rule write_summary:
    """Write the summary as pages, in Markdown and in HTML with the plots."""
    input:
        script=script("write_summary"),
        lib=library("write_summary"),
        summary="<results>/summary.json",
        differences="<results>/differences.csv",
        speed="<results>/speed.json",
        teacher=expand("<results>/{teacher}/checked.json", teacher=TEACHERS),
        plots=rules.draw_plots.output,
    output:
        markdown="<results>/summary.md",
        html=report(
            "<results>/summary.html",
            caption="../report/summary.rst",
            category="1. Scores",
            labels={"shows": "scores of every model and stage"},
        ),
    log:
        "<logs>/write_summary.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=10,
    shell:
        "python {input.script:q} --summary {input.summary:q} --differences {input.differences:q}"
        " --speed {input.speed:q} --teacher {input.teacher:q} --plots {input.plots:q}"
        " --markdown {output.markdown:q} --html {output.html:q} 2>&1 | tee {log:q}"


rule list_costs:
    """List the time, memory and energy of each part, when all jobs that are measured have ended."""
    input:
        script=script("list_costs"),
        lib=library("list_costs"),
        summary="<results>/summary.md",
        releases=expand("<results>/release/{model}/README.md", model=MODELS),
        embeddings=expand("<results>/{teacher}/{shard}.json", teacher=TEACHERS, shard=SHARDS),
        trainings=family.training_reports(),
    output:
        markdown="<results>/costs.md",
        html=report(
            "<results>/costs.html",
            caption="../report/costs.rst",
            category="3. Settings and costs",
            labels={"shows": "time, memory and energy of each part"},
        ),
    log:
        "<logs>/list_costs.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        # undeclared, so that a missing benchmark file reruns nothing
        benchmarks=f"results/{config['run']}/benchmarks",
        embeddings=folders_of_input("embeddings"),
        carbon_intensity=options(carbon_intensity=config["release"]["carbon_intensity"]),
    shell:
        "python {input.script:q} --benchmarks {params.benchmarks:q} --embeddings {params.embeddings:q}"
        " --trainings {input.trainings:q} {params.carbon_intensity:q} --markdown {output.markdown:q}"
        " --html {output.html:q} 2>&1 | tee {log:q}"


rule compare_runs:
    """Show what changed since another finished run, and whether the difference is statistically significant."""
    input:
        script=script("compare_runs"),
        lib=library("compare_runs"),
        own=["<results>/summary.json", "<results>/config.yaml"],
        other=["results/{other}/summary.json", "results/{other}/config.yaml"],
    output:
        "<results>/against/{other}.md",
    log:
        "<logs>/compare_runs/{other}.log",
    wildcard_constraints:
        other=r"[\w.-]+",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=10,
    params:
        before=folder_of_input("other"),
        after=folder_of_input("own"),
    shell:
        "python {input.script:q} --before {params.before:q} --after {params.after:q} --output {output:q}"
        " 2>&1 | tee {log:q}"


rule prepare_submission:
    """Gather the int8 models' scores on mteb's tasks, under their names on the hub, for mteb's submit_results."""
    input:
        script=script("prepare_submission"),
        lib=library("prepare_submission"),
        published="<results>/published.json",
        scores=[f"<results>/mteb/results/{model}/int8/{task}.json" for model in MODELS for task in TASKS],
        meta=[f"<results>/mteb/results/{model}/int8/model_meta.json" for model in MODELS],
    output:
        directory("<results>/submission"),
    log:
        "<logs>/prepare_submission.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        results=lambda wildcards, input: str(Path(input.meta[0]).parents[2]),
        tasks=family.mteb_tasks(),
    shell:
        "python {input.script:q} --published {input.published:q} --results {params.results:q} --tasks {params.tasks:q}"
        " --output {output:q} 2>&1 | tee {log:q}"


rule write_run_crate:
    """Describe the finished run and its files as a Process Run Crate."""
    input:
        script=script("write_run_crate"),
        lib=library("write_run_crate"),
        results=family.run_files(),
    output:
        "<results>/ro-crate-metadata.json",
    log:
        "<logs>/write_run_crate.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        run=folder_of_output,
    shell:
        "python {input.script:q} --run {params.run:q} 2>&1 | tee {log:q}"


rule verify:
    """Check that each file of a finished run is unchanged; makes nothing."""
    input:
        script=script("verify"),
        lib=library("verify"),
    log:
        "<logs>/verify.log",
    localrule: True
    conda:
        "../envs/pipeline.yaml"
    params:
        run=f"results/{config['run']}",
    shell:
        "python {input.script:q} --run {params.run:q} 2>&1 | tee {log:q}"
