# From whole-slide images to tables that compare encoders. The rules tell the story in the order data flows.
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.19")

SCRIPTS = Path(workflow.basedir) / "workflow" / "scripts"
sys.path.insert(0, str(SCRIPTS))


# A config given with --configfile takes the place of the demo's; Snakemake alone would merge the two.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "rules/common.smk"
include: "rules/phantom.smk"
include: "rules/tissue.smk"
include: "rules/cohort.smk"
include: "rules/pretrain.smk"
include: "rules/features.smk"
include: "rules/attention.smk"
include: "rules/slide_eval.smk"
include: "rules/heatmaps.smk"
include: "rules/patch_eval.smk"
include: "rules/tables.smk"
include: "rules/figures.smk"
include: "rules/report.smk"


report: "report/workflow.rst"


rule all:
    default_target: True
    input:
        RESULTS,
        PAGES,


rule tables:
    input:
        plan.tables(CONFIG),


rule tiles:
    input:
        [tile_manifests(tiling, SLIDES) for tiling in CONFIG["tilings"]],
        "results/tables/cohort.csv",
        plan.cohort_pictures(CONFIG),


rule features:
    input:
        plan.all_slide_manifests(CONFIG, BATCHES),
        plan.all_patch_features(CONFIG),


onstart:
    if workflow.executor_plugin.name == "slurm":
        explained(check_slurm_run, SLIDES, Path.cwd())
        explained(check_places, workflow)
        explained(record_unwatched, workflow)
    if workflow.is_main_process:
        explained(record_run, RECORDS, CONFIG, Path(workflow.basedir), workflow.executor_plugin.name)


onsuccess:
    explained(print_left_out, Path("results"))
