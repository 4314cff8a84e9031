import math

import pytest

from histossl.ssl.collapse import CONSTANT_FEATURES, CONSTANT_OUTPUT, HEALTHY, NOT_FINITE, UNIFORM_OUTPUT, judge

START = {"loss": 6.0, "eval_feature_std": 0.03, "output_std": 0.9, **{"output_difference": 1.0}}


def prototypes(entropy: float, mean_entropy: float, difference: float) -> dict[str, float]:
    return {
        "teacher_entropy_share": entropy,
        "mean_teacher_entropy_share": mean_entropy,
        "output_difference": difference,
    }


# Seen in runs on the demo's patches: DINO on a small XCiT, and SimCLR on a small ResNet.
@pytest.mark.parametrize(
    "seen",
    [
        {"eval_feature_std": 0.031, **prototypes(0.483, 0.631, 1.03)},  # untrained
        {"eval_feature_std": 0.39, **prototypes(0.868, 0.955, 0.605)},
        {"eval_feature_std": 0.43, **prototypes(0.447, 0.772, 2.25)},
        {"eval_feature_std": 0.704, "output_std": 1.0},
    ],
)
@pytest.mark.parametrize("warmed_up", [False, True])
def test_what_healthy_runs_showed_is_not_blamed(seen, warmed_up):
    assert judge({"loss": 5.0, **seen}, START, warmed_up).name == HEALTHY


@pytest.mark.parametrize(
    ("seen", "name"),
    [
        # A learning rate of 1 and of 100 with AdamW, after 10 and 40 steps.
        ({"eval_feature_std": 0.0141, **prototypes(0.00172, 0.00172, 4.7e-7)}, CONSTANT_OUTPUT),
        ({"eval_feature_std": 0.00036, **prototypes(0.992, 0.993, 0.0078)}, CONSTANT_FEATURES),
        ({"eval_feature_std": 0.00036, **prototypes(0.883, 0.883, 0.02)}, CONSTANT_FEATURES),
        # Without the centre, after 30 steps.
        ({"eval_feature_std": 0.31, **prototypes(0.036, 0.094, 0.4)}, CONSTANT_OUTPUT),
        # SimCLR by SGD with a learning rate of 10 and 1000, after 20 steps.
        ({"eval_feature_std": 0.00737 * 0.03 / 0.125, "output_std": 0.19}, CONSTANT_FEATURES),
        ({"eval_feature_std": 0.05, "output_std": 0.0}, CONSTANT_OUTPUT),
    ],
)
@pytest.mark.parametrize("warmed_up", [False, True])
def test_what_collapsed_runs_showed_is_named(seen, name, warmed_up):
    verdict = judge({"loss": 4.0, **seen}, START, warmed_up)
    assert verdict.name == name
    assert verdict.reason


def test_an_output_near_the_uniform_one_is_blamed_only_after_the_warm_up():
    # The temperature of the teacher at 1: uniform from the start.
    seen = {"loss": 6.93, "eval_feature_std": 0.3, **prototypes(0.99992, 0.99998, 4.6e-4)}
    start = {"eval_feature_std": 0.03, **prototypes(0.99953, 0.99969, 1.1e-3)}
    assert judge(seen, start, warmed_up=False).name == HEALTHY
    assert judge(seen, start, warmed_up=True).name == UNIFORM_OUTPUT


def test_features_alike_from_the_start_are_blamed_only_after_the_warm_up():
    # 1e-6 is what an untrained XCiT of 24 blocks shows: layer scale leaves the sum of the patches alone.
    alike = {"loss": 5.0, "eval_feature_std": 1e-6}
    assert judge(alike, {"eval_feature_std": 1e-6}, warmed_up=False).name == HEALTHY
    assert judge(alike, {"eval_feature_std": 1e-6}, warmed_up=True).name == CONSTANT_FEATURES


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_always_named(value):
    verdict = judge({"loss": 1.0, "eval_feature_std": value}, {}, warmed_up=False)
    assert verdict.name == NOT_FINITE
    assert "eval_feature_std" in str(verdict)


def test_without_a_start_only_what_is_certain_is_named():
    assert judge({"eval_feature_std": 1e-4}, {}, warmed_up=True).name == HEALTHY
    assert judge({"eval_feature_std": 0.0}, {}, warmed_up=True).name == CONSTANT_FEATURES
