# Where the heads look: one job a head chooses slides by its predictions and draws them.
HEATMAPS = heatmap_slots(CONFIG["heatmaps"]["slides"])


rule draw_heatmaps:
    input:
        lambda wildcards: tile_manifests(CONFIG["slide_tasks"][wildcards.task]["tiling"], SLIDES),
        predictions=lambda wildcards: judged_by(wildcards, "predictions.csv"),
        attention=lambda wildcards: judged_by(wildcards, "attention.h5"),
    output:
        [
            report(
                f"results/figures/heatmaps/{{task}}/{{encoder}}/{{model}}/{slot}.svg",
                caption="../report/heatmap.rst",
                category=ATTENTION,
                subcategory="Slides, {task}",
                labels={"encoder": "{encoder}", "head": "{model}", "slide": slot},
            )
            for slot in HEATMAPS
        ],
        [f"results/figures/heatmaps/{{task}}/{{encoder}}/{{model}}/{slot}.png" for slot in HEATMAPS],
        [
            f"results/heatmaps/{{task}}/{{encoder}}/{{model}}/{slot}.{kind}"
            for slot in HEATMAPS
            for kind in ("geojson", "tiff")
        ],
    log:
        "results/logs/draw_heatmaps/{task}/{encoder}/{model}.log",
    benchmark:
        "results/benchmarks/draw_heatmaps/{task}/{encoder}/{model}.tsv"
    conda:
        "../envs/slides.yaml"
    resources:
        mem_mb=grow(2000),
        runtime=grow(30),
    params:
        script=script("draw_heatmaps"),
        code=code("draw_heatmaps"),
        head=lambda wildcards: f"{wildcards.task}, {wildcards.encoder}, {wildcards.model}",
        sheet=Path(CONFIG["slides"]["sheet"]),
        tiles=lambda wildcards: f"results/tiles/{CONFIG['slide_tasks'][wildcards.task]['tiling']}",
        settings=as_json(CONFIG["heatmaps"]),
        figures="results/figures/heatmaps/{task}/{encoder}/{model}",
        exports="results/heatmaps/{task}/{encoder}/{model}",
    shell:
        "python {params.script:q} --head={params.head:q} --predictions={input.predictions:q}"
        " --attention={input.attention:q} --sheet={params.sheet:q} --slides=results/slides --tiles={params.tiles:q}"
        " --settings={params.settings:q} --figures={params.figures:q} --exports={params.exports:q} > {log:q} 2>&1"
