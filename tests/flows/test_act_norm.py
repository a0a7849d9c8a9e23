"""ActNorm: initialised once, and remembered."""

import torch

from mango_mm.flows import ActNorm


def batch():
    return 3 + 2 * torch.randn(16, 9, 4)


def test_the_first_training_batch_comes_out_standardised():
    layer = ActNorm(4)
    y, _ = layer(batch())
    torch.testing.assert_close(y.mean((0, 1)), torch.zeros(4), atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std((0, 1), correction=0), torch.ones(4), atol=1e-4, rtol=0)


def test_the_second_batch_changes_nothing():
    layer = ActNorm(4)
    layer(batch())
    state = {k: v.clone() for k, v in layer.state_dict().items()}
    layer(10 * batch())
    for key, value in layer.state_dict().items():
        torch.testing.assert_close(value, state[key], rtol=0, atol=0)


def test_evaluation_does_not_initialise():
    layer = ActNorm(4).eval()
    x = batch()
    torch.testing.assert_close(layer(x)[0], x)
    assert not layer.initialised


def test_a_loaded_layer_is_not_initialised_again():
    first, second = ActNorm(4), ActNorm(4)
    first(batch())
    second.load_state_dict(first.state_dict())
    x = 7 * batch()
    torch.testing.assert_close(second.train()(x)[0], first(x)[0])


def test_padding_does_not_count():
    x = batch()
    mask = torch.rand(16, 9) > 0.4
    plain, padded = ActNorm(4), ActNorm(4)
    plain(x[mask][None])
    padded(x.masked_fill(~mask[..., None], float('nan')), mask=mask)
    torch.testing.assert_close(padded.log_scale, plain.log_scale)


def test_a_constant_channel_is_not_blown_up():
    layer = ActNorm(2, min_std=1e-3)
    layer(torch.zeros(4, 5, 2))
    assert layer.log_scale.max() < 7


def test_it_initialises_under_no_grad_in_training_mode():
    layer = ActNorm(4)
    with torch.no_grad():
        layer(batch())
    assert layer.initialised
