import torch

from histossl.mil.adam import Adam


def test_each_part_of_each_row_moves_as_under_torchs_adam_whatever_the_others_do():
    torch.manual_seed(0)
    weights = torch.randn(3, 50)
    plain = [[torch.nn.Parameter(part.clone()) for part in row.split([40, 10])] for row in weights]
    optimizers = [torch.optim.Adam(parts, lr=3e-3, weight_decay=1e-2) for parts in plain]
    adam = Adam(weights, [40, 10], learning_rate=3e-3, weight_decay=1e-2)
    for rows, parts in [([0, 1, 2], [0, 1]), ([1], [0]), ([2, 0], [1]), ([1], [0, 1]), ([0, 1, 2], [0]), ([2], [0, 1])]:
        gradients = torch.randn(len(rows), 50)
        adam.step(rows, parts, gradients.clone())
        for row, gradient in zip(rows, gradients, strict=True):
            for part, piece in enumerate(gradient.split([40, 10])):
                plain[row][part].grad = piece if part in parts else None
            optimizers[row].step()
        expected = torch.stack([torch.cat(parts).detach() for parts in plain])
        torch.testing.assert_close(weights, expected, rtol=1e-6, atol=1e-7)
