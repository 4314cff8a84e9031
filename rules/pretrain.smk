# From patches to encoders: shards, self-supervised training, and the encoders that are not trained here.
rule pack_tiles:
    input:
        slide=slide_path,
        coords="results/tiles/{tiling}/{slide}.h5",
    output:
        "results/shards/{tiling}/{slide}.h5",
    log:
        "results/logs/pack_tiles/{tiling}/{slide}.log",
    benchmark:
        "results/benchmarks/pack_tiles/{tiling}/{slide}.tsv"
    priority: SOON
    conda:
        "../envs/slides.yaml"
    resources:
        mem_mb=grow(2000),
        runtime=grow(30),
    params:
        script=script("pack_tiles"),
        code=code("pack_tiles"),
        settings=as_json(CONFIG["shards"]),
        on_bad_slide=CONFIG["slides"]["on_bad_slide"],
    shell:
        "python {params.script:q} --file={input.slide:q} --coords={input.coords:q} --settings={params.settings:q}"
        " --on-bad-slide={params.on_bad_slide} --output={output:q} > {log:q} 2>&1"


rule pretrain:
    input:
        lambda wildcards: expand(
            "results/shards/{tiling}/{slide}.h5",
            tiling=plan.pretrain_tiling(CONFIG, wildcards.encoder),
            slide=list(SLIDES),
        ),
    output:
        encoder="results/encoders/{encoder}/encoder.pt",
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
        gpu=COMPUTE["pretrain_gpus"],
        mem_mb=grow(16000),
        runtime=grow(1440),
    params:
        launch=script("launch"),
        script=script("pretrain"),
        code=code("pretrain"),
        settings=lambda wildcards: as_json(plan.pretrain_settings(CONFIG, wildcards.encoder)),
        # The list of shards would be too long for a command line: the script makes it from the sheet.
        sheet=Path(CONFIG["slides"]["sheet"]),
        shards=lambda wildcards, input: Path(input[0]).parent,
        checkpoints="results/checkpoints/{encoder}",
    shell:
        "python {params.launch:q} --gpus={resources.gpu} {params.script:q} --name={wildcards.encoder:q}"
        " --settings={params.settings:q} --sheet={params.sheet:q} --shards={params.shards:q}"
        " --output={output.encoder:q} --curve={output.curve:q} --checkpoints={params.checkpoints:q}"
        " --workers={threads} --threads={threads} --code={params.code} 2>&1 | (trap '' TERM INT; exec tee {log:q})"


rule export_encoder:
    input:
        lambda wildcards: plan.weight_files(CONFIG, wildcards.encoder),
    output:
        "results/encoders/{encoder}/encoder.pt",
    log:
        "results/logs/export_encoder/{encoder}.log",
    benchmark:
        "results/benchmarks/export_encoder/{encoder}.tsv"
    wildcard_constraints:
        encoder=any_of(set(CONFIG["encoders"]) - set(plan.pretrained_encoders(CONFIG))),
    conda:
        "../envs/torch.yaml"
    resources:
        mem_mb=grow(8000),
        runtime=grow(30),
    params:
        script=script("export_encoder"),
        code=code("export_encoder"),
        settings=lambda wildcards: as_json(plan.export_settings(CONFIG, wildcards.encoder)),
    shell:
        "python {params.script:q} --settings={params.settings:q} --output={output:q} > {log:q} 2>&1"
