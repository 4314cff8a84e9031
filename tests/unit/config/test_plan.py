import dataclasses

from histossl.config import plan
from histossl.config.sheets import SlideRow

SLIDES = {
    slide: SlideRow(slide, patient, "", None, "", {"subtype": label})
    for slide, patient, label in (("s2", "p2", "a"), ("s1", "p1", ""), ("s3", "p3", "b"))
}
HEALTH = {"patches": 16, "knn": None, "knn_patches": 100}
CONFIG = {
    "encoders": {
        "whole": {"pretrain": {"tiling": "p64", "exclude_patients_of": [], "batch": 8, "health": HEALTH}},
        "without": {"pretrain": {"tiling": "p64", "exclude_patients_of": ["subtype"], "batch": 8, "health": HEALTH}},
        "other": {"pretrain": {"tiling": "p32", "exclude_patients_of": ["subtype"], "batch": 8, "health": HEALTH}},
        "published": {"timm": {}},
    },
    "patch_datasets": {"crc": {"source": "crc.csv", "layout": None}},
    "slide_tasks": {
        "subtype": {"label": "subtype", "classes": ["a"], "encoders": ["whole", "published"], "fractions": [0.5, 1]}
    },
    "patch_tasks": {
        "tissue": {
            "train": "crc:in",
            "test": "crc:held out",
            "encoders": [],
            "probes": {"knn": {"k": 5}, "simpleshot": {}},
        },
        "cells": {"train": "crc", "test": None, "encoders": ["without"], "probes": {"linear": {}}},
    },
}

LABELLED = {"slide_tasks": {"subtype": {"label": "subtype", "site": None, "classes": None}}}


def test_only_slides_that_are_trained_on_are_packed():
    trained = plan.trained_slides(CONFIG, SLIDES)
    assert trained["without"] == ["s1", "s3"]
    assert plan.packed_slides(CONFIG, trained) == {"p64": {"s1", "s2", "s3"}, "p32": {"s1", "s3"}}


def test_a_small_cohort_has_a_part_for_each_slide_and_a_large_one_a_few_hundred():
    assert plan.part_slides(SLIDES, {}) == {"s1": ["s1"], "s2": ["s2"], "s3": ["s3"]}
    for count, parts in ((256, 256), (257, 256), (11_000, 256), (40_000, 1024)):
        slides = [f"TCGA-{number:06}" for number in range(count)]
        left_out = dict.fromkeys(slides)
        dealt = plan.part_slides(slides, left_out)
        assert sorted(slide for part in dealt.values() for slide in part) == slides
        assert 0.6 * parts <= len(dealt) <= parts
        assert max(map(len, dealt.values())) <= 100
        assert plan.part_slides(slides[::-1], left_out) == dealt


def test_a_part_has_only_slides_that_the_same_encoders_leave_out():
    # `without` and `other` leave out the patients of "subtype" by the same list.
    assert plan.left_out_by(CONFIG, SLIDES, plan.trained_slides(CONFIG, SLIDES)) == {
        "s1": [],
        "s2": [["subtype"]],
        "s3": [],
    }
    slides = [f"s{number}" for number in range(1000)]
    left_out = {slide: [["subtype"]] if number % 3 else [] for number, slide in enumerate(slides)}
    parts = plan.part_slides(slides, left_out)
    assert all(len({str(left_out[slide]) for slide in part}) == 1 for part in parts.values())
    # A slide more that is left out moves none of those that are trained on.
    more = plan.part_slides([*slides, "s1001"], {**left_out, "s1001": [["subtype"]]})
    trained = {name: part for name, part in parts.items() if not left_out[part[0]]}
    assert trained.items() <= more.items()


def test_a_part_of_a_large_cohort_lies_within_one_batch():
    slides = [f"s{number}" for number in range(1000)]
    parts, batches = plan.part_slides(slides, dict.fromkeys(slides)), plan.batch_slides(slides, 64)
    batch_of = {slide: batch for batch, some in batches.items() for slide in some}
    assert all(len({batch_of[slide] for slide in part}) == 1 for part in parts.values())


def test_manifests_are_those_of_the_parts_of_some_slides():
    parts = {"a": "1", "b": "2", "c": "1", "d": "3"}
    assert plan.manifests("tiles/p64", {"c", "b", "a"}, parts) == [
        "results/tiles/p64/batches/1.json",
        "results/tiles/p64/batches/2.json",
    ]


def test_the_order_of_the_sheet_does_not_matter():
    turned = dict(reversed(SLIDES.items()))
    assert plan.trained_slides(CONFIG, turned) == plan.trained_slides(CONFIG, SLIDES)
    assert list(plan.part_slides(turned, {})) == list(plan.part_slides(SLIDES, {}))
    assert plan.hash_labels(LABELLED, "subtype", turned) == plan.hash_labels(LABELLED, "subtype", SLIDES)
    assert plan.batch_slides(turned, 2) == plan.batch_slides(SLIDES, 2) != {}
    assert list(plan.batch_slides(turned, 2)) == list(plan.batch_slides(SLIDES, 2))
    assert any(len(batch) > 1 for batch in plan.batch_slides(SLIDES, 2).values())


def test_label_and_patient_count_for_a_split_where_a_slide_takes_part():
    whole = plan.hash_labels(LABELLED, "subtype", SLIDES)
    for field, value in (("patient", "p9"), ("columns", {"subtype": "c"})):
        changed = {**SLIDES, "s2": dataclasses.replace(SLIDES["s2"], **{field: value})}
        assert plan.hash_labels(LABELLED, "subtype", changed) != whole
    unlabelled = {**SLIDES, "s1": dataclasses.replace(SLIDES["s1"], patient="p9")}
    assert plan.hash_labels(LABELLED, "subtype", unlabelled) == whole
    some = {"slide_tasks": {"subtype": {**LABELLED["slide_tasks"]["subtype"], "classes": ["a", "c"]}}}
    without = {name: row for name, row in SLIDES.items() if name != "s3"}
    assert plan.hash_labels(some, "subtype", SLIDES) == plan.hash_labels(some, "subtype", without)


def test_nothing_is_assumed_of_a_slide_whose_spacing_the_sheet_states():
    config = {"slides": {"assumed_spacing_um": 0.5}}
    stated = dataclasses.replace(SLIDES["s1"], spacing_um=0.25)
    for slide, spacings in ((stated, (0.25, None)), (SLIDES["s1"], (None, 0.5))):
        told = plan.segmented(config, slide)
        assert (told["sheet-spacing-um"], told["assumed-spacing-um"]) == spacings


def test_what_is_left_out_is_no_setting_of_the_run():
    assert plan.pretrain_settings(CONFIG, "without") == {"batch": 8, "health": {**HEALTH, "knn_patches": None}}
    examined = {"health": {**HEALTH, "knn": "crc:in"}}
    assert plan.pretrain_settings({"encoders": {"e": {"pretrain": examined}}}, "e") == examined


def test_tested_tasks_say_where_their_patients_stand():
    config = {**CONFIG, "encoders": {"e": {"pretrain": {"exclude_patients_of": ["subtype", "tissue"]}}}}
    assert plan.tested_tasks(config, "e") == [
        {"task": "subtype", "label": "subtype", "classes": ["a"]},
        {"task": "tissue", "source": "crc.csv", "layout": "", "split": "held out"},
    ]


def test_a_task_without_a_test_set_is_tested_on_all_it_trains_on():
    config = {**CONFIG, "encoders": {"e": {"pretrain": {"exclude_patients_of": ["cells"]}}}}
    assert plan.tested_tasks(config, "e") == [{"task": "cells", "source": "crc.csv", "layout": "", "split": ""}]
    assert plan.patch_features(config, "cells", "train", "e") == ["results/features/e/patches/crc.h5"]
    assert plan.patch_features(config, "cells", "test", "e") == []


def test_folds_are_settings_of_the_probes_that_are_tested_in_them_alone():
    own = {"merge": {}, "exclude": []}
    dealt = {"folds": 3, "seed": 1}
    config = {"patch_tasks": {name: {**task, **own, **dealt} for name, task in CONFIG["patch_tasks"].items()}}
    splits = {"train_split": "in", "test_split": "held out"}
    assert plan.probe_settings(config, "tissue", "knn") == {"task": {**splits, **own}, "probe": {"k": 5}}
    assert plan.probe_settings(config, "cells", "linear") == {"task": {"train_split": "", **dealt, **own}, "probe": {}}


def test_each_probe_has_predictions_of_its_own():
    made = plan.predictions({**CONFIG, "slide_tasks": {}})
    assert made["regression"] == ["results/patch_eval/cells/without/linear/predictions.csv"]
    assert made["few_shot"][0] == "results/patch_eval/tissue/whole/simpleshot/predictions.csv"
    assert len(made["classification"]) == len(made["few_shot"]) == 4


def test_each_table_has_the_cards_of_its_encoders():
    names = {
        kind: [path.split("/")[2] for path in plan.cards(CONFIG, kind)]
        for kind in plan.predictions({**CONFIG, "slide_tasks": {}})
    }
    assert names == {
        "slide": ["whole", "published"],
        "classification": ["whole", "without", "other", "published"],
        "regression": ["without"],
        "few_shot": ["whole", "without", "other", "published"],
        "retrieval": [],
    }


def test_the_sheet_of_views_follows_the_seed_and_the_augmentation_alone():
    trained = {"tiling": "p64", "seed": 3, "augmentation": {"hue": 0.1}, "steps": 100}
    config = {"encoders": {"dino": {"pretrain": trained}, "published": {"timm": {}}}}
    assert plan.view_settings(config, "dino") == {"seed": 3, "augmentation": {"hue": 0.1}}
    assert plan.view_pictures(config) == ["results/figures/views/dino.jpg"]


def test_only_a_local_file_of_weights_is_an_input():
    weights = {"file": "w.pt", "hub": "hf-hub:a/b", "timms": True, "random": False}
    encoders = {name: {"timm": {"weights": value, "spacing_um": []}} for name, value in weights.items()}
    assert {name: plan.weight_files({"encoders": encoders}, name) for name in weights} == {
        "file": ["w.pt"],
        "hub": [],
        "timms": [],
        "random": [],
    }


def test_the_preset_is_no_setting_of_an_encoder():
    config = {"encoders": {"uni": {"timm": {"preset": "uni", "weights": True, "spacing_um": 0.5}}}}
    assert plan.export_settings(config, "uni") == {"weights": True, "spacing_um": [0.5]}


def test_an_untrained_control_sees_pictures_as_the_trained_network_does():
    trained = dict.fromkeys(("model", "model_args", "seed", "mean", "std", "input_px"), 1) | {"tiling": "p64"}
    config = {
        "encoders": {"dino": {"pretrain": trained}, "control": {"untrained": "dino"}},
        "tilings": {"p64": {"spacing_um": 1.0}},
    }
    settings = plan.export_settings(config, "control")
    # The fields that a card of a trained network leaves at their defaults.
    assert (settings["resize_px"], settings["interpolation"], settings["pooling"]) == (None, "bilinear", None)
    assert (settings["weights"], settings["strict"], settings["spacing_um"]) == (False, True, [1.0])


def test_imported_features_are_of_slide_tasks_alone(tmp_path):
    (tmp_path / "s3.h5").touch()
    encoders = {**CONFIG["encoders"], "uni": {"features": {"folder": str(tmp_path)}}}
    tasks = {"subtype": {**CONFIG["slide_tasks"]["subtype"], "encoders": [], "tiling": "p64", "models": {"mean": {}}}}
    config = {**CONFIG, "encoders": encoders, "slide_tasks": tasks}
    assert plan.imported_encoders(config) == ["uni"]
    assert plan.feature_files(config, "uni", SLIDES) == {"s3": str(tmp_path / "s3.h5")}
    assert plan.encoder_spacing(config, "uni") == []
    made = [*plan.predictions(config)["slide"], *plan.cards(config, "slide"), *plan.all_slide_manifests(config, ["0"])]
    assert sum("/uni/" in path for path in made) == 4  # two fractions
    others = [*plan.predictions(config)["classification"], *plan.cards(config, "classification")]
    assert others and not any("/uni/" in path for path in [*others, *plan.all_patch_features(config)])


def test_a_stain_is_told_by_what_its_reference_holds_and_moves_no_patch(tmp_path):
    reference = tmp_path / "reference.png"
    reference.write_bytes(b"one")
    stain = {"method": "macenko", "reference": str(reference)}
    config = {
        "tilings": {"p64": {"patch_px": 64, "stain": stain}, "raw": {"patch_px": 64, "stain": None}},
        "patch_datasets": {},
    }
    found = plan.stain_settings(config, "tilings", "p64")
    assert found == {**stain, "content": found["content"]}
    assert plan.stain_settings(config, "tilings", "raw") is None
    assert plan.tiling_settings(config, "p64") == plan.tiling_settings(config, "raw") == {"patch_px": 64}


def test_a_fraction_is_split_by_itself_and_its_name_is_its_value():
    task = dict.fromkeys(("label", "classes", "site", "folds", "repeats", "split_files", "validation", "seed"))
    some, more = ({"slide_tasks": {"t": {**task, "fractions": values}}} for values in ([1, 1.0, 0.5], [0.5, 1, 0.75]))
    assert plan.fractions(some, "t") == ["1.0", "0.5"]
    assert plan.fractions(more, "t") == ["1.0", "0.75", "0.5"]
    assert plan.split_settings(some, "t", "0.5") == plan.split_settings(more, "t", "0.5") == {**task, "fraction": 0.5}


def test_splits_follow_labels_and_the_sites_that_are_asked_for():
    rows = {slide: SlideRow(slide, slide, "", None, "", {"subtype": "a", "centre": "x", "note": ""}) for slide in "st"}

    def changed(column, site):
        task = {"label": "subtype", "site": site, "classes": None}
        before = plan.hash_labels({"slide_tasks": {"t": task}}, "t", rows)
        row = rows["t"]
        other = {**rows, "t": SlideRow("t", "t", "", None, "", {**row.columns, column: "other"})}
        return plan.hash_labels({"slide_tasks": {"t": task}}, "t", other) != before

    assert changed("subtype", None) and changed("subtype", "centre") and changed("centre", "centre")
    assert not changed("centre", None) and not changed("note", "centre")


def test_splits_follow_the_content_of_split_files(tmp_path):
    config = {"slide_tasks": {"t": {"split_files": {"folder": str(tmp_path)}}, "drawn": {"split_files": None}}}
    for fold in range(2):
        (tmp_path / f"splits_{fold}.csv").write_text(f"{fold}")
    before = plan.hash_split_files(config, "t")
    (tmp_path / "splits_0_descriptor.csv").touch()
    (tmp_path / "splits_1.csv").touch()
    assert plan.hash_split_files(config, "t") == before
    (tmp_path / "splits_1.csv").write_text("2")
    assert plan.hash_split_files(config, "t") != before
    assert plan.hash_split_files(config, "drawn") == 0


def test_a_study_needs_the_predictions_that_it_names_and_that_are_made():
    tables = {"slide": {"task": "subtype", "model": "abmil"}, "cells": {"task": "cells", "probe": "linear"}}
    task = {**CONFIG["slide_tasks"]["subtype"], "models": {"abmil": {}, "mean": {}}}
    study = {"methods": {"a": "whole", "b": "without"}, "tables": tables}
    needed = plan.study_predictions({**CONFIG, "slide_tasks": {"subtype": task}, "study": study})
    assert needed["slide"] == [
        f"results/slide_eval/subtype/whole/abmil/{fraction}/predictions.csv" for fraction in ("1.0", "0.5")
    ]
    assert needed["regression"] == ["results/patch_eval/cells/without/linear/predictions.csv"]
    assert needed["classification"] == []
    none = plan.study_predictions({**CONFIG, "slide_tasks": {}, "study": None})
    assert not any(none.values())
