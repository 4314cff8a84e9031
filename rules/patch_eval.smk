# Patch classification and regression on frozen features.
rule probe_patches:
    input:
        train=lambda wildcards: plan.patch_features(CONFIG, wildcards.task, "train", wildcards.encoder),
        test=lambda wildcards: plan.patch_features(CONFIG, wildcards.task, "test", wildcards.encoder),
    output:
        "results/patch_eval/{task}/{encoder}/{probe}/predictions.csv",
    log:
        "results/logs/probe_patches/{task}/{encoder}/{probe}.log",
    benchmark:
        "results/benchmarks/probe_patches/{task}/{encoder}/{probe}.tsv"
    wildcard_constraints:
        probe=NAME,
    conda:
        "../envs/evaluation.yaml"
    threads: COMPUTE["probe_threads"]
    resources:
        mem_mb=grow(8000),
        runtime=grow(60),
    params:
        script=script("probe_patches"),
        code=code("probe_patches"),
        settings=lambda wildcards: as_json(plan.probe_settings(CONFIG, wildcards.task, wildcards.probe)),
    shell:
        "python {params.script:q} --task={wildcards.task:q} --encoder={wildcards.encoder:q} --probe={wildcards.probe:q}"
        " --train={input.train:q} --test {input.test:q} --settings={params.settings:q} --predictions={output:q}"
        " --threads={threads} > {log:q} 2>&1"
