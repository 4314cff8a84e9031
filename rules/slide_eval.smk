# Attention MIL on slides, cross-validated by patient.
rule split_patients:
    output:
        "results/splits/{task}/{fraction}.csv",
    log:
        "results/logs/split_patients/{task}/{fraction}.log",
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=grow(1000),
        runtime=grow(10),
    params:
        script=script("split_patients"),
        code=code("split_patients"),
        sheet=Path(CONFIG["slides"]["sheet"]),
        labels=lambda wildcards: plan.hash_labels(CONFIG, wildcards.task, SLIDES),
        files=lambda wildcards: plan.hash_split_files(CONFIG, wildcards.task),
        settings=lambda wildcards: as_json(plan.split_settings(CONFIG, wildcards.task, wildcards.fraction)),
    shell:
        "python {params.script:q} --sheet={params.sheet:q} --settings={params.settings:q} --output={output:q}"
        " > {log:q} 2>&1"


rule train_mil:
    input:
        splits="results/splits/{task}/{fraction}.csv",
        features=lambda wildcards: plan.slide_manifests(
            wildcards.encoder, CONFIG["slide_tasks"][wildcards.task]["tiling"], BATCHES
        ),
    output:
        predictions="results/slide_eval/{task}/{encoder}/{model}/{fraction}/predictions.csv",
        attention="results/slide_eval/{task}/{encoder}/{model}/{fraction}/attention.h5",
    log:
        "results/logs/train_mil/{task}/{encoder}/{model}/{fraction}.log",
    benchmark:
        "results/benchmarks/train_mil/{task}/{encoder}/{model}/{fraction}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: COMPUTE["mil_threads"]
    resources:
        gpu=COMPUTE["mil_gpus"],
        mem_mb=grow(8000),
        runtime=grow(240),
    params:
        launch=script("launch"),
        script=script("train_mil"),
        code=lambda wildcards: code("train_mil", "histossl.mil.models", "MODELS", wildcards.model),
        settings=lambda wildcards: as_json(plan.head_settings(CONFIG, wildcards.task, wildcards.model)),
        features=lambda wildcards, input: Path(input.features[0]).parents[1],
    shell:
        "python {params.launch:q} --gpus={resources.gpu} {params.script:q} --task={wildcards.task:q}"
        " --encoder={wildcards.encoder:q} --splits={input.splits:q} --features={params.features:q}"
        " --settings={params.settings:q} --predictions={output.predictions:q} --attention={output.attention:q}"
        " --threads={threads} 2>&1 | (trap '' TERM INT; exec tee {log:q})"
