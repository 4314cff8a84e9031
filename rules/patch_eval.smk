# Patch classification and regression on frozen features.
rule probe_patches:
    input:
        train=lambda wildcards: plan.patch_features(CONFIG, wildcards.task, "train", wildcards.encoder),
        test=lambda wildcards: plan.patch_features(CONFIG, wildcards.task, "test", wildcards.encoder),
    output:
        "results/patch_eval/{task}/{encoder}/predictions.csv",
    log:
        "results/logs/probe_patches/{task}/{encoder}.log",
    benchmark:
        "results/benchmarks/probe_patches/{task}/{encoder}.tsv"
    conda:
        "../envs/evaluation.yaml"
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        script=script("probe_patches"),
        code=code("probe_patches"),
        settings=lambda wildcards: as_json(plan.probe_settings(CONFIG, wildcards.task)),
    shell:
        "python {params.script:q} --task={wildcards.task:q} --encoder={wildcards.encoder:q} --train={input.train:q}"
        " --test={input.test:q} --settings={params.settings:q} --predictions={output:q} > {log:q} 2>&1"
