from histossl.config import plan
from histossl.config.sheets import SlideRow

SLIDES = {
    slide: SlideRow(slide, patient, "", None, "", {"subtype": label})
    for slide, patient, label in (("s2", "p2", "a"), ("s1", "p1", ""), ("s3", "p3", "b"))
}
CONFIG = {
    "encoders": {
        "whole": {"pretrain": {"tiling": "p64", "exclude_patients_of": [], "batch": 8}},
        "without": {"pretrain": {"tiling": "p64", "exclude_patients_of": ["subtype"], "batch": 8}},
        "other": {"pretrain": {"tiling": "p32", "exclude_patients_of": ["subtype"], "batch": 8}},
        "published": {"timm": {}},
    },
    "patch_datasets": {"crc": {"source": "crc.csv"}},
    "slide_tasks": {"subtype": {"label": "subtype", "classes": ["a"], "encoders": ["whole", "published"]}},
    "patch_tasks": {
        "tissue": {"test": "crc:held out", "encoders": [], "probe": {"probe": "knn"}},
        "cells": {"test": "crc", "encoders": ["without"], "probe": {"probe": "linear"}},
    },
}


def test_only_the_shards_that_are_trained_on_are_made():
    assert plan.shards(CONFIG, "without", SLIDES) == ["results/shards/p64/s1.h5", "results/shards/p64/s3.h5"]
    assert plan.all_shards(CONFIG, SLIDES) == [
        *(f"results/shards/p64/s{i}.h5" for i in (1, 2, 3)),
        *(f"results/shards/p32/s{i}.h5" for i in (1, 3)),
    ]


def test_the_order_of_the_sheet_does_not_matter():
    turned = dict(reversed(SLIDES.items()))
    assert plan.shards(CONFIG, "whole", turned) == plan.shards(CONFIG, "whole", SLIDES)


def test_what_is_left_out_is_no_setting_of_the_run():
    assert plan.pretrain_settings(CONFIG, "without") == {"batch": 8}


def test_tested_tasks_say_where_their_patients_stand():
    config = {**CONFIG, "encoders": {"e": {"pretrain": {"exclude_patients_of": ["subtype", "tissue"]}}}}
    assert plan.tested_tasks(config, "e") == [
        {"task": "subtype", "label": "subtype", "classes": ["a"]},
        {"task": "tissue", "source": "crc.csv", "split": "held out"},
    ]


def test_each_table_has_the_cards_of_its_encoders():
    names = {
        kind: [path.split("/")[2] for path in plan.cards(CONFIG, kind)]
        for kind in plan.predictions({**CONFIG, "slide_tasks": {}})
    }
    assert names == {
        "slide": ["whole", "published"],
        "classification": ["whole", "without", "other", "published"],
        "regression": ["without"],
    }


def test_the_sheet_of_views_follows_the_seed_and_the_augmentation_alone():
    trained = {"tiling": "p64", "seed": 3, "augmentation": {"hue": 0.1}, "steps": 100}
    config = {"encoders": {"dino": {"pretrain": trained}, "published": {"timm": {}}}}
    assert plan.view_settings(config, "dino") == {"seed": 3, "augmentation": {"hue": 0.1}}
    assert plan.view_pictures(config) == ["results/figures/views/dino.jpg"]
