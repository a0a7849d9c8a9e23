"""What a GPU says of the flows: is every kernel right on it, and how fast is it?

Needs torch and numpy alone. Every part checks itself; one that fails is reported and the others
go on. Exit status 1 if any did. Ratios are of the same run, in turns.

Example:
    python tools/benchmark/gpu.py --out docs/benchmarks
    python tools/benchmark/gpu.py --device cpu --quick --out /tmp/gpu
"""

import argparse
import json
import sys
import time
import traceback
from pathlib import Path

import torch
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.benchmarking.attention_layers import CausalAttention
from mango_mm.benchmarking.measuring import Spread, peak_bytes, take_turns
from mango_mm.flows import InvertibleCrossAttention, TokenPartition
from mango_mm.flows.triangular_attention import KERNELS
from mango_mm.flows.triangular_attention.probe import is_trusted, measure_error
from mango_mm.fusion import RECIPES, MangoFusion

SIZES = ((108, 64, 2), (256, 256, 2))  # tokens of a modality, channels, blocks
BATCH = 8
COMPILED = {'compiled': {}, 'compiled, reduce-overhead': {'mode': 'reduce-overhead'}}


def probe(args):
    """Which fused kernels exist here and are right."""
    found = {}
    for dtype in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
        trusted = is_trusted(args.device, dtype)
        error = measure_error(args.device, dtype) if trusted else None
        found[str(dtype)] = {'trusted': trusted, 'error': error}
    return found


def close(got, wanted, bound, what):
    """The largest error relative to the largest value, or to 1; raises above the bound."""
    got = got.detach().double().cpu()
    error = float((got - wanted).abs().max() / wanted.abs().max().clamp(min=1.0))
    if not error <= bound:
        raise ArithmeticError(f'{what} is off by {error:.1e}; allowed is {bound:.0e}.')
    return error


def kernels(args):
    """Every kernel of ICA in float32 against float64 on the CPU: forward, gradients, inverse."""
    found = {}
    torch.manual_seed(0)
    partition = TokenPartition.mmca((70, 77), target=1)
    layer = InvertibleCrossAttention(32, partition, num_heads=2).double()
    with torch.no_grad():
        for p in layer.parameters():
            p.add_(0.2 * torch.randn_like(p))
    x = torch.randn(3, 147, 32, dtype=torch.double)
    mask = torch.ones(3, 147, dtype=torch.bool)
    mask[0, 60:70] = mask[1, 120:] = False
    for masked in (False, True):
        given = mask if masked else None
        wanted = outputs(layer.cpu().double(), x, given)
        for kernel in KERNELS:
            layer.kernel = kernel
            layer.to(args.device, torch.float32)
            moved = None if given is None else given.to(args.device)
            name = f'{kernel}{", masked" if masked else ""}'
            try:
                got = outputs(layer, x.to(args.device, torch.float32), moved)
                errors = [close(g, w, 2e-4, name) for g, w in zip(got, wanted)]
                found[name] = max(errors)
            except Exception as error:  # noqa: BLE001  # the others go on
                found[name] = f'FAILED: {type(error).__name__}: {str(error)[:200]}'
            layer.cpu().double()
            layer.kernel = 'dense'
    return found


def outputs(layer, x, mask):
    """y, ln|det|, gradients of the parameters, and the way back."""
    y, log_det = layer(x, mask=mask)
    loss = y.square().sum() - log_det.sum()
    gradients = torch.autograd.grad(loss, list(layer.parameters()))
    with torch.no_grad():
        back, _ = layer.inverse(y, mask=mask)
    return [y, log_det, *gradients, back]


def recipes(args):
    """Every block in float32, and under bf16 autocast, against float64 on the CPU."""
    found = {}
    for recipe in sorted(RECIPES):
        torch.manual_seed(0)
        fusion = MangoFusion(('a', 'b'), 16, 40, depth=2, recipe=recipe).double()
        x = {m: torch.randn(4, 40, 16, dtype=torch.double) for m in 'ab'}
        fusion(x)  # ActNorm's statistics
        fusion.eval()
        with torch.no_grad():
            wanted = fusion(x)
        fusion.to(args.device, torch.float32)
        moved = {m: v.to(args.device, torch.float32) for m, v in x.items()}
        try:
            with torch.no_grad():
                got = fusion(moved)
                back = fusion.inverse(got)
                with torch.autocast(args.device, torch.bfloat16):
                    half = fusion(moved)
            found[recipe] = {
                'log_prob': close(got.log_prob, wanted.log_prob, 1e-4, 'log_prob'),
                'fused': close(got.fused, wanted.fused, 1e-3, 'fused'),
                'round_trip': close(back['a'], x['a'], 1e-3, 'the way back'),
                'log_prob_in_bf16': close(half.log_prob, wanted.log_prob, 1e-4, 'log_prob, bf16'),
                'dtype_in_bf16': str(half.log_prob.dtype),
            }
        except Exception as error:  # noqa: BLE001
            found[recipe] = f'FAILED: {type(error).__name__}: {str(error)[:200]}'
    return found


def step(model, x):
    """Forward and backward of ||z||^2 / 2 - ln|det|."""
    model.zero_grad(set_to_none=True)
    z, log_det = model(x)
    loss = 0.5 * z.square().sum()
    (loss if log_det is None else loss - log_det.sum()).backward()


class Stack(torch.nn.Module):
    """As many causal attention layers as the paper's blocks have of ICA."""

    def __init__(self, dim, count):
        super().__init__()
        self.layers = torch.nn.ModuleList(CausalAttention(dim) for _ in range(count))

    def forward(self, x):
        for layer in self.layers:
            x, _ = layer(x)
            x = torch.cat([*reversed(x.chunk(2, dim=1))], dim=1)
        return x, None


def speed(args):
    """A training step: the flow, the flow compiled, and attention of as many layers."""
    return {f'{n} + {n} tokens, D = {d}, L = {depth}': speed_of(n, d, depth, args)
            for n, d, depth in SIZES}  # fmt: skip


def speed_of(tokens, dim, depth, args):
    torch.manual_seed(0)
    x = torch.randn(BATCH, 2 * tokens, dim, device=args.device)
    flow = MangoFusion(('a', 'b'), dim, tokens, depth=depth).flow.to(args.device)
    attention = Stack(dim, 8 * depth).to(args.device)
    works = {'attention': lambda: step(attention, x), 'flow': lambda: step(flow, x)}
    found = {'peak_mib': round(peak_bytes(works['flow'], device=args.device) / 2**20)}
    torch._dynamo.reset()
    for name, options in COMPILED.items():
        try:
            model = MangoFusion(('a', 'b'), dim, tokens, depth=depth).flow.to(args.device)
            model.load_state_dict(flow.state_dict())
            model.compile(**options)
            began = time.perf_counter()
            step(model, x)
            found[f'{name}, compiling_s'] = round(time.perf_counter() - began, 1)
            with torch.no_grad():
                close(model(x)[1], flow(x)[1].double().cpu(), 1e-4, f'ln|det|, {name}')
            works[name] = lambda model=model: step(model, x)
        except Exception as error:  # noqa: BLE001
            found[name] = f'FAILED: {type(error).__name__}: {str(error)[:300]}'
    times = take_turns(works, device=args.device, rounds=args.rounds, seconds=args.seconds)
    for work, seconds in times.items():
        found[work] = {
            'step_ms': round(1e3 * Spread.of(seconds).median, 2),
            'over_attention': ratios(seconds, times['attention'], 2),
        }
    with torch.no_grad():
        z = flow(x)[0]
    ways = {
        'forward': lambda: flow(x),
        'terms': lambda: flow(x, terms=True),
        'inverse': lambda: flow.inverse(z),
    }
    ways = {k: torch.no_grad()(v) for k, v in ways.items()}
    times = take_turns(ways, device=args.device, rounds=args.rounds, seconds=args.seconds)
    for way, seconds in times.items():
        found[way] = {
            'ms': round(1e3 * Spread.of(seconds).median, 2),
            'over_forward': ratios(seconds, times['forward'], 3),
        }
    return found


def ratios(seconds, reference, digits):
    """Quartiles and median of the ratios, turn by turn."""
    return [round(value, digits) for value in Spread.of_ratios(seconds, reference)]


def ica(args):
    """One ICA layer's step by kernel, against F.scaled_dot_product_attention in its place."""
    sizes = (512, 1024) if args.quick else (512, 2048, 4096)
    return {f'{tokens} moved tokens': ica_of(tokens, args) for tokens in sizes}


def ica_of(tokens, args):
    x = torch.randn(4, 2 * tokens, 64, device=args.device)
    partition = TokenPartition.mmca((tokens, tokens), target=1)
    layers = {'attention': CausalAttention(64).to(args.device)}
    for kernel in ('auto', 'chunked', *(('dense',) if tokens <= 2048 else ())):
        layer = InvertibleCrossAttention(64, partition, kernel=kernel)
        layers[f'ICA, {kernel}'] = layer.to(args.device)
    works = {k: lambda m=m: step(m, x) for k, m in layers.items()}
    times = take_turns(works, device=args.device, rounds=args.rounds, seconds=args.seconds)
    return {
        k: {'step_ms': round(1e3 * Spread.of(v).median, 2),
            'over_attention': ratios(v, times['attention'], 2)}
        for k, v in times.items()
    }  # fmt: skip


def sharp(args):
    """Attention too sharp for the fused kernel: an error or the right number, never another."""
    layer = InvertibleCrossAttention(16, TokenPartition.mmca((40, 40), target=1)).to(args.device)
    with torch.no_grad():
        for p in layer.parameters():
            if p.dim() == 1:  # the scales of the layer norms
                p.mul_(200.0)
    x = torch.randn(2, 80, 16, device=args.device)
    with torch.no_grad():
        layer.kernel = 'dense'
        wanted = layer(x)[1].double().cpu()
        layer.kernel = 'auto'
        try:
            return {'error': close(layer(x)[1], wanted, 1e-3, 'ln|det|')}
        except ArithmeticError:
            raise
        except Exception as error:  # noqa: BLE001  # it says so: that is the promise
            return {'refused': f'{type(error).__name__}: {str(error)[:160]}'}


def matmul(args):
    """What the device can do at all, in TFLOP/s."""
    found = {}
    size = 512 if args.quick else 4096
    for dtype in (torch.float32, torch.bfloat16):
        a = torch.randn(size, size, device=args.device, dtype=dtype)
        times = take_turns({'a': lambda a=a: a @ a}, device=args.device, rounds=5, seconds=0.5)
        found[str(dtype)] = round(2 * size**3 / Spread.of(times['a']).median / 1e12, 2)
    q = torch.randn(4, 4, size, 64, device=args.device, dtype=torch.bfloat16)
    F.scaled_dot_product_attention(q, q, q, is_causal=True)
    return found


# A refusal ends the process's use of the GPU (an assertion on the device): last.
PARTS = (probe, kernels, recipes, matmul, ica, speed, sharp)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--out', type=Path, required=True, help='folder for gpu.json')
    parser.add_argument('--device', default='cuda')
    parser.add_argument('--rounds', type=int, default=15)
    parser.add_argument('--seconds', type=float, default=1.0)
    parser.add_argument('--parts', nargs='+', choices=[p.__name__ for p in PARTS], help='of these')
    parser.add_argument('--quick', action='store_true', help='small sizes, for a try on a CPU')
    args = parser.parse_args()
    if args.device == 'cuda' and not torch.cuda.is_available():
        sys.exit('gpu.py needs a GPU that torch can use; torch.cuda.is_available() is False.')
    name = torch.cuda.get_device_name() if args.device == 'cuda' else 'CPU'
    found = {'device': name, 'torch': torch.__version__}
    failed = []
    args.out.mkdir(parents=True, exist_ok=True)
    for part in [p for p in PARTS if args.parts is None or p.__name__ in args.parts]:
        began = time.perf_counter()
        try:
            found[part.__name__] = part(args)
            if 'FAILED' in json.dumps(found[part.__name__]):
                failed.append(part.__name__)
        except Exception:  # noqa: BLE001  # the other parts go on
            failed.append(part.__name__)
            found[part.__name__] = traceback.format_exc()[-1500:]
        found[f'{part.__name__}_s'] = round(time.perf_counter() - began, 1)
        (args.out / 'gpu.json').write_text(json.dumps(found, indent=1) + '\n')
        print(f'{part.__name__}: {json.dumps(found[part.__name__])}', flush=True)
    found['failed'] = failed
    (args.out / 'gpu.json').write_text(json.dumps(found, indent=1) + '\n')
    print(f'failed: {failed or "nothing"}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
