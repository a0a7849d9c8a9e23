"""ActNorm: initialised once, and remembered."""

import pytest
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


def test_a_dead_channel_is_amplified_a_hundred_times_a_usual_one_at_most():
    layer, x = ActNorm(4), batch()
    x[..., 2] = 7.0
    layer(x)
    assert layer.initialised
    spread = x.flatten(0, 1).double().std(0, correction=0).quantile(0.5)
    torch.testing.assert_close(layer.log_scale[2].exp().double(), 100 / spread, rtol=1e-4, atol=0)
    assert layer(x)[0][..., 2].abs().max() < 1e-3


UNFIT = {
    'all padding': (torch.randn(3, 5, 4), torch.zeros(3, 5, dtype=torch.bool)),
    'two tokens': (torch.randn(1, 2, 4), None),
    'no samples': (torch.zeros(0, 9, 4), None),
    'black frames': (torch.zeros(4, 5, 4), None),
    'one value': (torch.full((4, 5, 4), 1234.567), None),
    'one value but for rounding': (1e4 + 1e-3 * torch.rand(4, 5, 4), None),
    'NaN': (torch.full((4, 5, 4), float('nan')), None),
}


@pytest.mark.parametrize('order', [list(UNFIT), list(UNFIT)[::-1]], ids=['forth', 'back'])
def test_batches_that_cannot_start_it_do_not_in_any_order(order):
    plain, layer, x = ActNorm(4), ActNorm(4), batch()
    plain(x)
    for name in order:
        given, mask = UNFIT[name]
        layer(given, mask=mask)
        assert not layer.initialised, name
        assert not layer.log_scale.any(), name
    layer(x)
    torch.testing.assert_close(layer.log_scale, plain.log_scale)
    torch.testing.assert_close(layer.bias, plain.bias)


def test_it_initialises_under_no_grad_in_training_mode():
    layer = ActNorm(4)
    with torch.no_grad():
        layer(batch())
    assert layer.initialised
