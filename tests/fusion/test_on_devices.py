"""Every fusion on every device there is, against float64 on the CPU; `make gpu` runs these."""

import copy

import pytest
import torch

from mango_mm.fusion import RECIPES, ConcatFusion, CrossAttentionFusion, MangoFusion, SumFusion

DEVICES = [
    'cpu',
    pytest.param(
        'cuda', marks=pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU here')
    ),
]
MODALITIES, LENGTHS, DIM = ('rgb', 'depth'), (12, 9), 8


def made(recipe):
    torch.manual_seed(0)
    fusion = MangoFusion(MODALITIES, DIM, LENGTHS, depth=2, recipe=recipe, reduction='sequence')
    with torch.no_grad():
        for p in fusion.parameters():
            p.add_(0.05 * torch.randn_like(p))
    return fusion.double().eval()


def tokens():
    torch.manual_seed(1)
    return {m: torch.randn(3, n, DIM, dtype=torch.float64) for m, n in zip(MODALITIES, LENGTHS)}


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('recipe', sorted(RECIPES))
def test_mango_on_a_device_is_mango_in_float64(recipe, device):
    exact = made(recipe)
    x = tokens()
    wanted = exact(x)
    wanted.log_prob.sum().backward()
    there = copy.deepcopy(exact).float().to(device)
    for p in there.parameters():
        p.grad = None
    seen = {m: v.float().to(device) for m, v in x.items()}
    out = there(seen)
    assert out.log_prob.device.type == device
    torch.testing.assert_close(out.log_prob.double().cpu(), wanted.log_prob, rtol=2e-5, atol=2e-3)
    torch.testing.assert_close(out.fused.double().cpu(), wanted.fused, rtol=1e-3, atol=1e-4)
    out.log_prob.sum().backward()
    for (name, p), q in zip(exact.named_parameters(), there.parameters()):
        if p.grad is not None:
            scale = p.grad.abs().max().clamp(min=1.0)
            error = (q.grad.double().cpu() - p.grad).abs().max() / scale
            assert error < 1e-3, name
    again = there.inverse(out)
    for m in MODALITIES:
        torch.testing.assert_close(again[m], seen[m], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=['bf16', 'fp16'])
def test_the_likelihood_on_a_device_stays_float32_under_autocast(device, dtype):
    exact = made('paper')
    x = tokens()
    wanted = exact(x).log_prob
    there = copy.deepcopy(exact).float().to(device)
    with torch.autocast(device, dtype=dtype):
        out = there({m: v.float().to(device) for m, v in x.items()})
    assert out.log_prob.dtype == torch.float32
    torch.testing.assert_close(out.log_prob.double().cpu(), wanted, rtol=2e-5, atol=2e-3)


@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('kind', [ConcatFusion, SumFusion, CrossAttentionFusion])
def test_a_baseline_on_a_device_is_itself_in_float64(kind, device):
    torch.manual_seed(0)
    exact = kind(MODALITIES, DIM).double().eval()
    x = {m: v[:, :9] for m, v in tokens().items()}
    wanted = exact(x).fused
    got = copy.deepcopy(exact).float().to(device)({m: v.float().to(device) for m, v in x.items()})
    torch.testing.assert_close(got.fused.double().cpu(), wanted, rtol=1e-3, atol=1e-4)
