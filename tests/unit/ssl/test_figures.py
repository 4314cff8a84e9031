import math

import pytest
import torch

from histossl.ssl.figures import feature_std, teacher_entropies

OUTPUTS = {
    # logits (N, K): mean entropy, entropy of the mean
    "uniform": (torch.zeros(8, 8), math.log(8), math.log(8)),
    "constant": (torch.tensor([[9.0] + [0.0] * 7]).expand(8, 8), 0.0, 0.0),
    "decided and varied": (9.0 * torch.eye(8), 0.0, math.log(8)),
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_entropies_tell_uniform_and_constant_output_from_a_sound_one(name):
    logits, mean_entropy, entropy_of_mean = OUTPUTS[name]
    figures = teacher_entropies(logits, 0.1)
    assert float(figures["teacher_entropy"]) == pytest.approx(mean_entropy, abs=1e-4)
    assert float(figures["mean_teacher_entropy"]) == pytest.approx(entropy_of_mean, abs=1e-4)


def test_feature_std_is_near_one_for_random_and_zero_for_equal_features():
    torch.manual_seed(0)
    assert float(feature_std(torch.randn(200, 50))) == pytest.approx(1, abs=0.05)
    assert float(feature_std(torch.randn(1, 50).expand(20, 50))) == pytest.approx(0, abs=1e-4)
