# Frozen features of slides and of patch data sets.
# The feature files themselves are not declared: Snakemake would delete them before the job starts, and the job keeps
# those that are still valid, so that one added or changed slide costs its own embedding alone.
rule embed_slides:
    input:
        encoder="results/encoders/{encoder}/encoder.pt",
        slides=lambda wildcards: [SLIDES[slide].path for slide in BATCHES[wildcards.batch]],
        coords=lambda wildcards: [f"results/tiles/{wildcards.tiling}/{slide}.h5" for slide in BATCHES[wildcards.batch]],
    output:
        "results/features/{encoder}/slides/{tiling}/batches/{batch}.json",
    log:
        "results/logs/embed_slides/{encoder}/{tiling}/{batch}.log",
    benchmark:
        "results/benchmarks/embed_slides/{encoder}/{tiling}/{batch}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: COMPUTE["embed_threads"]
    resources:
        gpu=COMPUTE["embed_gpus"],
        mem_mb=grow(8000),
        runtime=grow(240),
        batch=COMPUTE["embed_batch"],
    params:
        launch=script("launch"),
        script=script("embed_slides"),
        code=code("embed_slides"),
        features="results/features/{encoder}/slides/{tiling}",
        on_bad_slide=CONFIG["slides"]["on_bad_slide"],
    shell:
        "python {params.launch:q} --gpus={resources.gpu} {params.script:q} --name={wildcards.encoder:q}"
        " --encoder={input.encoder:q} --files {input.slides:q} --coords {input.coords:q}"
        " --features={params.features:q} --manifest={output:q} --on-bad-slide={params.on_bad_slide}"
        " --code={params.code} --batch={resources.batch} --threads={threads} 2>&1 | (trap '' TERM INT; exec tee {log:q})"


rule embed_patches:
    input:
        encoder="results/encoders/{encoder}/encoder.pt",
        source=lambda wildcards: CONFIG["patch_datasets"][wildcards.dataset]["source"],
    output:
        "results/features/{encoder}/patches/{dataset}.h5",
    log:
        "results/logs/embed_patches/{encoder}/{dataset}.log",
    benchmark:
        "results/benchmarks/embed_patches/{encoder}/{dataset}.tsv"
    conda:
        "../envs/torch.yaml"
    threads: COMPUTE["embed_threads"]
    resources:
        gpu=COMPUTE["embed_gpus"],
        mem_mb=grow(8000),
        runtime=grow(120),
        batch=COMPUTE["embed_batch"],
    params:
        launch=script("launch"),
        script=script("embed_patches"),
        code=code("embed_patches"),
        spacing_um=lambda wildcards: CONFIG["patch_datasets"][wildcards.dataset]["spacing_um"],
        # Not used by the command: Snakemake does not look at the pictures that a sheet or a folder names.
        pictures=lambda wildcards: hash_pictures(CONFIG["patch_datasets"][wildcards.dataset]["source"]),
    shell:
        "python {params.launch:q} --gpus={resources.gpu} {params.script:q} --name={wildcards.encoder:q}"
        " --encoder={input.encoder:q} --dataset={wildcards.dataset:q} --source={input.source:q}"
        " --spacing-um={params.spacing_um} --output={output:q} --batch={resources.batch} --threads={threads}"
        " 2>&1 | (trap '' TERM INT; exec tee {log:q})"
