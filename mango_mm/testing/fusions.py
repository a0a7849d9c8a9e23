"""Does a fusion keep its contract?"""

from __future__ import annotations

import torch

from mango_mm.fusion import BlockFusion, Fusion, FusionOutput

__all__ = ['assert_is_block_fusion', 'assert_is_fusion']


def assert_is_fusion(
    fusion: Fusion, *, batch: int = 2, grid: tuple[int, int] = (4, 6), tolerance: float = 1e-4
) -> FusionOutput:
    """Raise unless a fusion keeps its contract on random maps of one size.

    Checked: shapes; every parameter gets a gradient; a sample's result does not depend on
    its batch; a missing modality is an error; ``log_prob``, if any, is finite, one per sample.

    Args:
        fusion: The fusion under test, for equal token counts.
        batch: Samples.
        grid: Height and width in tokens.
        tolerance: Absolute and relative, in float32.

    Returns:
        Its output, for further checks.

    Raises:
        AssertionError: Saying which fact does not hold.
    """
    tokens = grid[0] * grid[1]
    features = {m: torch.randn(batch, tokens, fusion.dim) for m in fusion.modalities}
    fusion.train()
    output = fusion(features, grid=grid)
    wanted = (batch, tokens, fusion.out_dim)
    if tuple(output.fused.shape) != wanted:
        raise AssertionError(f'fused must be {wanted}; got {tuple(output.fused.shape)}.')
    loss = output.fused.square().mean()
    if output.log_prob is not None:
        if output.log_prob.shape != (batch,) or not output.log_prob.isfinite().all():
            raise AssertionError(f'log_prob must be ({batch},), finite; got {output.log_prob}.')
        nll = output.nll_per_dim()
        if nll is None:
            raise AssertionError('a fusion with log_prob must give num_dims too.')
        loss = loss + nll.mean()
    fusion.zero_grad()
    loss.backward()
    idle = [name for name, p in fusion.named_parameters() if p.grad is None]
    if idle:
        raise AssertionError(f'parameters without a gradient: {idle}.')
    fusion.eval()
    with torch.no_grad():
        whole = fusion(features, grid=grid).fused
        alone = fusion({m: x[:1] for m, x in features.items()}, grid=grid).fused
    torch.testing.assert_close(
        alone, whole[:1], rtol=tolerance, atol=tolerance,
        msg=lambda m: f'a sample depends on its batch: {m}',
    )  # fmt: skip
    try:
        fusion({fusion.modalities[0]: features[fusion.modalities[0]]}, grid=grid)
    except KeyError:
        return output
    if len(fusion.modalities) > 1:
        raise AssertionError('a missing modality must raise a KeyError.')
    return output


def assert_is_block_fusion(
    fusion: BlockFusion, *, batch: int = 2, tokens: int = 6, tolerance: float = 1e-4
) -> None:
    """Raise unless a block fusion keeps its contract on random tokens.

    Checked: as many features of the same shape come out; the input is left as it is; losses are
    finite scalars; every parameter gets a gradient, and every input; a sample's result does not
    depend on its batch.

    Args:
        fusion: The fusion under test.
        batch: Samples.
        tokens: Tokens of every modality.
        tolerance: Absolute and relative, in float32.

    Raises:
        AssertionError: Saying which fact does not hold.
    """
    shape = (batch, tokens, fusion.dim)
    features = [torch.randn(shape, requires_grad=True) for _ in fusion.modalities]
    entered = [torch.randn(shape) for _ in fusion.modalities]
    scales = [torch.rand(fusion.dim) for _ in fusion.modalities]
    before = [x.detach().clone() for x in features]
    out, losses = fusion(features, entered=entered, scales=scales)
    if len(out) != len(features) or any(tuple(x.shape) != shape for x in out):
        raise AssertionError(
            f'{len(features)} features {shape} must come out; got {[tuple(x.shape) for x in out]}.'
        )
    if not all(x.equal(y) for x, y in zip(features, before)):
        raise AssertionError('the features that went in were changed.')
    wrong = [k for k, v in losses.items() if v.dim() or not v.isfinite()]
    if wrong:
        raise AssertionError(f'losses must be finite scalars; these are not: {wrong}.')
    total = torch.stack([x.square().mean() for x in out]).sum() + sum(losses.values())
    total.backward()
    idle = [name for name, p in fusion.named_parameters() if p.grad is None]
    if idle or any(x.grad is None for x in features):
        raise AssertionError(f'without a gradient: {idle or "an input"}.')
    with torch.no_grad():
        alone, _ = fusion(
            [x[:1] for x in features], entered=[x[:1] for x in entered], scales=scales
        )
    for x, whole in zip(alone, out):
        torch.testing.assert_close(
            x, whole[:1], rtol=tolerance, atol=tolerance,
            msg=lambda m: f'a sample depends on its batch: {m}',
        )  # fmt: skip
