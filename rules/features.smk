# Frozen features of slides and of patch data sets.
# The feature files themselves are not declared: Snakemake would delete them before the job starts, and the job keeps
# those that are still valid, so that one added or changed slide costs its own embedding alone.
rule embed_slides:
    input:
        encoder="results/encoders/{encoder}/encoder.pt",
        coords=lambda wildcards: tile_manifests(wildcards.tiling, BATCHES[wildcards.batch]),
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
        mem_mb=grow(16000),
        runtime=grow(240),
        batch=COMPUTE["embed_batch"],
    params:
        launch=script("launch"),
        script=script("embed_slides"),
        code=code("embed_slides"),
        slides=lambda wildcards: [SLIDES[slide].path for slide in BATCHES[wildcards.batch]],
        coords=lambda wildcards: [f"results/tiles/{wildcards.tiling}/{slide}.h5" for slide in BATCHES[wildcards.batch]],
        features="results/features/{encoder}/slides/{tiling}",
        settings=lambda wildcards: as_json(plan.slide_embedding(CONFIG, wildcards.tiling)),
        on_bad_slide=ON_BAD_SLIDE,
    shell:
        "python {params.launch:q} --gpus={resources.gpu} {params.script:q} --name={wildcards.encoder:q}"
        " --encoder={input.encoder:q} --files {params.slides:q} --coords {params.coords:q}"
        " --features={params.features:q} --manifest={output:q} --settings={params.settings:q}"
        " --on-bad-slide={params.on_bad_slide} --code={params.code} --batch={resources.batch} --threads={threads} 2>&1 | (trap '' TERM INT; exec tee {log:q})"


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
        mem_mb=grow(16000),
        runtime=grow(120),
        batch=COMPUTE["embed_batch"],
    params:
        launch=script("launch"),
        script=script("embed_patches"),
        code=code("embed_patches"),
        settings=lambda wildcards: as_json(plan.patch_embedding(CONFIG, wildcards.dataset)),
        # Not used by the command: Snakemake does not look at the pictures that a sheet or a folder names.
        pictures=lambda wildcards: hash_pictures(wildcards.dataset),
    shell:
        "python {params.launch:q} --gpus={resources.gpu} {params.script:q} --name={wildcards.encoder:q}"
        " --encoder={input.encoder:q} --dataset={wildcards.dataset:q} --source={input.source:q}"
        " --settings={params.settings:q} --output={output:q} --batch={resources.batch} --threads={threads}"
        " 2>&1 | (trap '' TERM INT; exec tee {log:q})"


# Features that were made elsewhere. What they depend on are files of the user's, of which some may be missing.
ruleorder: import_features > embed_slides


rule describe_features:
    input:
        first_imported_file,
    output:
        "results/encoders/{encoder}/encoder.json",
    log:
        "results/logs/describe_features/{encoder}.log",
    wildcard_constraints:
        encoder=any_of(IMPORTED),
    localrule: True
    conda:
        "../envs/torch.yaml"
    params:
        script=script("describe_features"),
        code=code("describe_features"),
        folder=lambda wildcards: plan.feature_folder(CONFIG, wildcards.encoder),
        sheet=Path(CONFIG["slides"]["sheet"]),
        bytes=lambda wildcards: file_bytes(first_imported_file(wildcards)),
    shell:
        "python {params.script:q} --folder={params.folder:q} --sheet={params.sheet:q} --card={output:q} > {log:q} 2>&1"


rule import_features:
    input:
        imported_files,
        card="results/encoders/{encoder}/encoder.json",
    output:
        "results/features/{encoder}/slides/{tiling}/batches/{batch}.json",
    log:
        "results/logs/import_features/{encoder}/{tiling}/{batch}.log",
    benchmark:
        "results/benchmarks/import_features/{encoder}/{tiling}/{batch}.tsv"
    wildcard_constraints:
        encoder=any_of(IMPORTED),
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=grow(4000),
        runtime=grow(60),
    params:
        script=script("import_features"),
        code=code("import_features"),
        folder=lambda wildcards: plan.feature_folder(CONFIG, wildcards.encoder),
        sheet=Path(CONFIG["slides"]["sheet"]),
        slides=lambda wildcards: BATCHES[wildcards.batch],
        features="results/features/{encoder}/slides/{tiling}",
        on_bad_slide=ON_BAD_SLIDE,
        bytes=lambda wildcards: [file_bytes(path) for path in imported_files(wildcards)],
    shell:
        "python {params.script:q} --name={wildcards.encoder:q} --card={input.card:q} --folder={params.folder:q}"
        " --sheet={params.sheet:q} --slides {params.slides:q} --features={params.features:q} --manifest={output:q}"
        " --on-bad-slide={params.on_bad_slide} --code={params.code} > {log:q} 2>&1"
