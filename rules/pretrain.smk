# From patches to encoders: shards, self-supervised training, and the encoders that are not trained here.
rule pack_tiles:
    input:
        "results/tiles/{tiling}/batches/{part}.json",
    output:
        "results/shards/{tiling}/batches/{part}.json",
    log:
        "results/logs/pack_tiles/{tiling}/{part}.log",
    benchmark:
        "results/benchmarks/pack_tiles/{tiling}/{part}.tsv"
    priority: SOON
    conda:
        "../envs/slides.yaml"
    resources:
        mem_mb=grow(2000),
        runtime=slide_minutes(30, 2),
    params:
        script=script("each_slide"),
        work=script("pack_tiles"),
        code=code("pack_tiles"),
        slides=lambda wildcards: as_json(
            slide_files(slide for slide in PARTS[wildcards.part] if slide in PACKED[wildcards.tiling])
        ),
        settings=lambda wildcards: as_json(
            {**CONFIG["shards"], "stain": plan.stain_settings(CONFIG, "tilings", wildcards.tiling)}
        ),
        reads=lambda wildcards: as_json({"coords": f"results/tiles/{wildcards.tiling}/*.h5"}),
        writes=lambda wildcards: as_json({"output": f"results/shards/{wildcards.tiling}/*.h5"}),
        made=lambda wildcards: f"results/shards/{wildcards.tiling}/made/*.json",
        on_bad_slide=ON_BAD_SLIDE,
    shell:
        "python {params.script:q} --script={params.work:q} --code={params.code} --slides={params.slides:q}"
        " --reads={params.reads:q} --writes={params.writes:q} --made={params.made:q} --settings={params.settings:q}"
        " --manifest={output:q} -- --on-bad-slide={params.on_bad_slide} > {log:q} 2>&1"


# A file, because the list would be too long for a command line.
rule choose_slides:
    output:
        "results/encoders/{encoder}/slides.txt",
    log:
        "results/logs/choose_slides/{encoder}.log",
    wildcard_constraints:
        encoder=any_of(plan.pretrained_encoders(CONFIG)),
    priority: SOON
    localrule: True
    conda:
        "../envs/slides.yaml"
    params:
        script=script("choose_slides"),
        sheet=Path(CONFIG["slides"]["sheet"]),
        # A function of resources, so that it reruns nothing by itself.
        tested=lambda wildcards, resources: as_json(plan.tested_tasks(CONFIG, wildcards.encoder)),
        # Not used by the command. It is what the command will find: the list is written anew when it changes, and not
        # when the code or another column of the sheet does, which would train the encoder again.
        slides=lambda wildcards: as_json(TRAINED[wildcards.encoder]),
    shell:
        "python {params.script:q} --sheet={params.sheet:q} --tested={params.tested:q} --output={output:q} > {log:q} 2>&1"


rule pretrain:
    input:
        shards=lambda wildcards: trained_shards(wildcards.encoder),
        slides="results/encoders/{encoder}/slides.txt",
        knn=lambda wildcards: [
            CONFIG["patch_datasets"][name]["source"] for name in plan.knn_datasets(CONFIG, wildcards.encoder)
        ],
    output:
        encoder="results/encoders/{encoder}/encoder.pt",
        card="results/encoders/{encoder}/encoder.json",
        curve="results/encoders/{encoder}/training.jsonl",
    log:
        "results/logs/pretrain/{encoder}.log",
    benchmark:
        "results/benchmarks/pretrain/{encoder}.tsv"
    wildcard_constraints:
        encoder=any_of(plan.pretrained_encoders(CONFIG)),
    priority: SOON
    conda:
        "../envs/torch.yaml"
    threads: COMPUTE["pretrain_threads"]
    resources:
        **pretrain_nodes(COMPUTE["pretrain_nodes"], COMPUTE["pretrain_gpus"]),
        mem_mb=grow(16000),
        runtime=grow(1440),
    params:
        launch=script("launch"),
        # Of the resources granted, not of the configuration: a limit on the command line lowers them. What is a function
        # of resources reruns nothing when it changes, which is right for what only changes speed.
        gpus=lambda wildcards, resources: resources.get("gpu", COMPUTE["pretrain_gpus"]),
        nodes=lambda wildcards, resources: resources.get("nodes", 1),
        compiled=untracked(["--compile"] if COMPUTE["pretrain_compile"] else []),
        script=script("pretrain"),
        code=lambda wildcards: code(
            "pretrain",
            "histossl.ssl.methods",
            "METHODS",
            plan.pretrain_settings(CONFIG, wildcards.encoder)["method"],
        ),
        settings=lambda wildcards: as_json(plan.pretrain_settings(CONFIG, wildcards.encoder)),
        # Not used by the command: Snakemake does not look at the pictures that a sheet or a folder names.
        pictures=lambda wildcards: [hash_pictures(name) for name in plan.knn_datasets(CONFIG, wildcards.encoder)],
        layout=lambda wildcards: [
            plan.patch_layout(CONFIG, name) for name in plan.knn_datasets(CONFIG, wildcards.encoder)
        ],
        stain=lambda wildcards: [
            as_json(plan.stain_settings(CONFIG, "patch_datasets", name))
            for name in plan.knn_datasets(CONFIG, wildcards.encoder)
        ],
        shards=lambda wildcards: f"results/shards/{plan.pretrain_tiling(CONFIG, wildcards.encoder)}",
        checkpoints="results/checkpoints/{encoder}",
    shell:
        # A scheduler signals all processes of a job: the shell has to outlive the script, which saves its state.
        "trap '' TERM USR1; "
        "python {params.launch:q} --gpus={params.gpus} --nodes={params.nodes} {params.script:q} --name={wildcards.encoder:q}"
        " --settings={params.settings:q} --slides={input.slides:q} --shards={params.shards:q}"
        " --knn-source {input.knn:q} --knn-layout {params.layout:q} --knn-stain {params.stain:q}"
        " --output={output.encoder:q} --curve={output.curve:q} --checkpoints={params.checkpoints:q}"
        " --workers={threads} --threads={threads} --code={params.code} {params.compiled} 2>&1 | (trap '' TERM INT USR1; exec tee {log:q})"


rule draw_views:
    input:
        shards=lambda wildcards: trained_shards(wildcards.encoder),
        slides="results/encoders/{encoder}/slides.txt",
    output:
        report(
            "results/figures/views/{encoder}.jpg",
            caption="../report/views.rst",
            category=PRETRAINING,
            subcategory="Views",
            labels={"encoder": "{encoder}"},
        ),
    log:
        "results/logs/draw_views/{encoder}.log",
    wildcard_constraints:
        encoder=any_of(plan.pretrained_encoders(CONFIG)),
    localrule: True
    conda:
        "../envs/torch.yaml"
    params:
        script=script("draw_views"),
        code=code("draw_views"),
        settings=lambda wildcards: as_json(plan.view_settings(CONFIG, wildcards.encoder)),
        shards=lambda wildcards: f"results/shards/{plan.pretrain_tiling(CONFIG, wildcards.encoder)}",
    shell:
        "python {params.script:q} --settings={params.settings:q} --slides={input.slides:q} --shards={params.shards:q}"
        " --output={output:q} > {log:q} 2>&1"


rule export_encoder:
    input:
        lambda wildcards: plan.weight_files(CONFIG, wildcards.encoder),
    output:
        encoder="results/encoders/{encoder}/encoder.pt",
        card="results/encoders/{encoder}/encoder.json",
    log:
        "results/logs/export_encoder/{encoder}.log",
    benchmark:
        "results/benchmarks/export_encoder/{encoder}.tsv"
    wildcard_constraints:
        encoder=any_of(set(CONFIG["encoders"]) - {*plan.pretrained_encoders(CONFIG), *IMPORTED}),
    # What a user has to do for published weights (accept a licence, log in) is said early.
    priority: SOON
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=grow(16000),
        runtime=grow(60),
    params:
        script=script("export_encoder"),
        code=code("export_encoder"),
        settings=lambda wildcards: as_json(plan.export_settings(CONFIG, wildcards.encoder)),
        # Not used by the command: a file in the place of another may be older than it.
        weights=lambda wildcards: [file_state(path) for path in plan.weight_files(CONFIG, wildcards.encoder)],
    shell:
        "python {params.script:q} --settings={params.settings:q} --output={output.encoder:q} > {log:q} 2>&1"
