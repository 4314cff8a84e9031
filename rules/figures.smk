# Figures from stored files: maps of patch features, curves of training, encoders beside each other. No GPU.
# What is computed and what is drawn are rules of their own, so that another colour computes nothing again.
rule map_features:
    input:
        "results/features/{encoder}/patches/{dataset}.h5",
    output:
        points="results/figures/feature_maps/{dataset}/{encoder}.csv",
        facts="results/figures/feature_maps/{dataset}/{encoder}.json",
    log:
        "results/logs/map_features/{dataset}/{encoder}.log",
    benchmark:
        "results/benchmarks/map_features/{dataset}/{encoder}.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=grow(4000),
        runtime=grow(30),
    params:
        script=script("map_features"),
        code=code("map_features"),
        settings=as_json(figures.map_settings(CONFIG)),
    shell:
        "python {params.script:q} --features={input:q} --settings={params.settings:q} --points={output.points:q}"
        " --facts={output.facts:q} > {log:q} 2>&1"


rule draw_feature_map:
    input:
        points="results/figures/feature_maps/{dataset}/{encoder}.csv",
        facts="results/figures/feature_maps/{dataset}/{encoder}.json",
    output:
        svg=report(
            "results/figures/feature_maps/{dataset}/{encoder}.svg",
            caption="../report/feature_map.rst",
            category=FEATURES,
            subcategory="{dataset}",
            labels={"encoder": "{encoder}", "figure": "map of patch features (UMAP)"},
        ),
        png="results/figures/feature_maps/{dataset}/{encoder}.png",
    log:
        "results/logs/draw_feature_map/{dataset}/{encoder}.log",
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("draw_feature_map"),
        code=code("draw_feature_map"),
    shell:
        "python {params.script:q} --encoder={wildcards.encoder:q} --dataset={wildcards.dataset:q}"
        " --points={input.points:q} --facts={input.facts:q} --svg={output.svg:q} --png={output.png:q} > {log:q} 2>&1"


rule draw_training_curves:
    input:
        "results/encoders/{encoder}/training.jsonl",
    output:
        svg=report(
            "results/figures/training/{encoder}.svg",
            caption="../report/training_curves.rst",
            category=PRETRAINING,
            subcategory="Curves",
            labels={"encoder": "{encoder}", "figure": "loss and health by step"},
        ),
        png="results/figures/training/{encoder}.png",
    log:
        "results/logs/draw_training_curves/{encoder}.log",
    wildcard_constraints:
        encoder=any_of(plan.pretrained_encoders(CONFIG)),
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("draw_training_curves"),
        code=code("draw_training_curves"),
    shell:
        "python {params.script:q} --encoder={wildcards.encoder:q} --curve={input:q} --svg={output.svg:q}"
        " --png={output.png:q} > {log:q} 2>&1"


rule compare_training:
    input:
        curves=[f"results/encoders/{encoder}/training.jsonl" for encoder in plan.pretrained_encoders(CONFIG)],
        cards=[f"results/encoders/{encoder}/encoder.json" for encoder in plan.pretrained_encoders(CONFIG)],
    output:
        svg=report(
            "results/figures/training.svg",
            caption="../report/training_compared.rst",
            category=PRETRAINING,
            subcategory="Curves",
            labels={"encoder": "all", "figure": "health by images seen"},
        ),
        png="results/figures/training.png",
    log:
        "results/logs/compare_training.log",
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("compare_training"),
        code=code("compare_training"),
        encoders=plan.pretrained_encoders(CONFIG),
    shell:
        "python {params.script:q} --encoders {params.encoders:q} --cards {input.cards:q} --curves {input.curves:q}"
        " --svg={output.svg:q} --png={output.png:q} > {log:q} 2>&1"


rule draw_fractions:
    input:
        "results/tables/slide.csv",
    output:
        svg=report(
            "results/figures/fractions/{task}/{model}.svg",
            caption="../report/fractions.rst",
            category=SLIDE_TASKS,
            subcategory="{task}",
            labels={"figure": "by share of the training patients", "method": "{model}"},
        ),
        png="results/figures/fractions/{task}/{model}.png",
    log:
        "results/logs/draw_fractions/{task}/{model}.log",
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("draw_fractions"),
        code=code("draw_fractions"),
        level=CONFIG["tables"]["level"],
    shell:
        "python {params.script:q} --table={input:q} --task={wildcards.task:q} --model={wildcards.model:q}"
        " --level={params.level} --svg={output.svg:q} --png={output.png:q} > {log:q} 2>&1"


rule draw_forest:
    input:
        "results/tables/{kind}.csv",
    output:
        svg=report(
            "results/figures/forest/{kind}/{task}.svg",
            caption="../report/forest.rst",
            category=category_of_kind,
            subcategory="{task}",
            labels={"figure": "forest plot of encoders", "method": "{kind}"},
        ),
        png="results/figures/forest/{kind}/{task}.png",
    log:
        "results/logs/draw_forest/{kind}/{task}.log",
    wildcard_constraints:
        kind=any_of(plan.predictions(CONFIG)),
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("draw_forest"),
        code=code("draw_forest"),
        level=CONFIG["tables"]["level"],
    shell:
        "python {params.script:q} --table={input:q} --kind={wildcards.kind} --task={wildcards.task:q}"
        " --level={params.level} --svg={output.svg:q} --png={output.png:q} > {log:q} 2>&1"


rule draw_critical_difference:
    input:
        [f"results/tables/{kind}.csv" for kind in figures.table_kinds(CONFIG)],
    output:
        svg=report(
            "results/figures/critical_difference.svg",
            caption="../report/critical_difference.rst",
            category=PATCH_TASKS,
            subcategory="all tasks",
            labels={"figure": "ranks of encoders over all tasks", "method": "first figure of each task"},
        ),
        png="results/figures/critical_difference.png",
    log:
        "results/logs/draw_critical_difference.log",
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("draw_critical_difference"),
        code=code("draw_critical_difference"),
        kinds=figures.table_kinds(CONFIG),
        level=CONFIG["tables"]["level"],
    shell:
        "python {params.script:q} --tables {input:q} --kinds {params.kinds} --level={params.level}"
        " --svg={output.svg:q} --png={output.png:q} > {log:q} 2>&1"


rule measure_cost:
    input:
        [file for files in figures.encoder_files(CONFIG).values() for file in files.values() if file],
        # Not read: when they are there, the logs say how fast they were made.
        plan.all_slide_manifests(CONFIG, BATCHES),
        plan.all_patch_features(CONFIG),
    output:
        "results/figures/cost.csv",
    log:
        "results/logs/measure_cost.log",
    localrule: True
    conda:
        "../envs/torch.yaml"
    params:
        script=script("measure_cost"),
        code=code("measure_cost"),
        encoders=as_json(figures.encoder_files(CONFIG)),
        logs="results/logs",
    shell:
        "python {params.script:q} --encoders={params.encoders:q} --logs={params.logs:q} --output={output:q}"
        " > {log:q} 2>&1"


rule draw_cost:
    input:
        table="results/tables/{kind}.csv",
        costs="results/figures/cost.csv",
    output:
        svg=report(
            "results/figures/cost/{kind}/{task}.svg",
            caption="../report/cost.rst",
            category=category_of_kind,
            subcategory="{task}",
            labels={"figure": "cost against quality", "method": "{kind}"},
        ),
        png="results/figures/cost/{kind}/{task}.png",
    log:
        "results/logs/draw_cost/{kind}/{task}.log",
    wildcard_constraints:
        kind=any_of(plan.predictions(CONFIG)),
    localrule: True
    conda:
        "../envs/evaluation.yaml"
    params:
        script=script("draw_cost"),
        code=code("draw_cost"),
        level=CONFIG["tables"]["level"],
    shell:
        "python {params.script:q} --table={input.table:q} --costs={input.costs:q} --kind={wildcards.kind}"
        " --task={wildcards.task:q} --level={params.level} --svg={output.svg:q} --png={output.png:q} > {log:q} 2>&1"
