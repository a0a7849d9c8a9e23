"""Flow++: a coupling through the distribution function of a mixture of logistics.

    a, b = the two halves of a token's channels
    y_b  = logit(F(x_b)) * exp(s) + t,   F(x) = sum_k w_k sigmoid((x - m_k) exp(-r_k))
    ln|det dy/dx| = sum of s + ln f - ln F - ln(1 - F),   f = F'

w, m, r, s, t come from x_a of all tokens, by self-attention: any network is allowed in a
conditioner. F is monotone, so that the inverse exists; it has no formula and is found by
bisection inside an exact bracket (logit F lies between the components' arguments), with two
Newton steps that also carry the gradients.

Everything is computed from ln F and ln(1 - F): nothing saturates.

It starts within ln cosh(1/2) = .12 of the identity, not at it: with one mean for all components
they would get one gradient for ever, and the layer would be an affine coupling. The means start
at K places between -1/2 and 1/2.

Shape letters: B batch, N tokens, D channels, C moved channels, K components.

Source:
    Ho et al., Flow++, ICML 2019, https://arxiv.org/abs/1902.00275, Section 3.2-3.3, Eq. 13-16.
Differs from it:
    tokens instead of convolutions; s is soft-clamped to ``clamp``, r to 7, where its release
    (aravindsrinivas/flowpp 737fadb) bounds r from below alone, by -7; its means start apart by
    random weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.flows.affine_coupling import ChannelHalves
from mango_mm.flows.bijection import Bijection

__all__ = ['MixtureCoupling']

START = 0.5  # of the outermost means
MAX_LOG_WIDTH = 7.0
BISECTIONS = {torch.float32: 40, torch.float64: 80}


class MixtureCoupling(Bijection):
    """Coupling of Flow++ over the channels of each token.

    Args:
        dim: Channels D of every token, at least 2.
        components: K.
        num_heads: Heads of the conditioner's attention.
        hidden_dim: Channels of the conditioner; None: 2 D.
        swap: Let the second half condition and the first move.
        clamp: Bound of |s|, approached smoothly.

    Raises:
        ValueError: If ``dim`` is below 2 or the heads do not divide the conditioner.

    Example:
        >>> layer = MixtureCoupling(dim=4)
        >>> x = torch.randn(2, 3, 4)
        >>> torch.allclose(layer(x)[0], x, atol=0.13)  # starts near the identity
        True
    """

    def __init__(
        self,
        dim: int,
        *,
        components: int = 4,
        num_heads: int = 1,
        hidden_dim: int | None = None,
        swap: bool = False,
        clamp: float = 1.0,
    ) -> None:
        super().__init__()
        self.halves = ChannelHalves(dim, swap=swap)
        hidden_dim = hidden_dim or 2 * dim
        if hidden_dim % num_heads:
            raise ValueError(
                f'num_heads must divide the conditioner; got {num_heads} heads, {hidden_dim}.'
            )
        self.clamp, self.components, self.num_heads = clamp, components, num_heads
        conditioning = self.halves.fixed
        self.moved = dim - conditioning
        self.enter = nn.Linear(conditioning, hidden_dim)
        self.norm_attention = nn.LayerNorm(hidden_dim)
        self.qkv = nn.Linear(hidden_dim, 3 * hidden_dim)
        self.project = nn.Linear(hidden_dim, hidden_dim)
        self.norm_out = nn.LayerNorm(hidden_dim)
        self.leave = nn.Linear(hidden_dim, self.moved * (2 + 3 * components))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)
        means = self.leave.bias.data.view(self.moved, -1)[:, 2:].chunk(3, dim=-1)[1]
        means.copy_(torch.linspace(-START, START, self.components))

    def transform(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        fixed, moved = self.halves.split(x)
        scale, shift, mixture = self._condition(fixed, mask)
        squashed, log_slope = _logit_of_mixture(moved, *mixture)
        y = squashed * scale.exp() + shift
        total = scale + log_slope
        if mask is not None:
            y = torch.where(mask[..., None], y, moved)
            total = torch.where(mask[..., None], total, 0.0)
        return self.halves.merge(fixed, y), total.sum(dim=2)

    def inverse_transform(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        fixed, moved = self.halves.split(y)
        scale, shift, mixture = self._condition(fixed, mask)
        squashed = (moved - shift) * (-scale).exp()
        x = _solve(squashed, mixture)
        _, log_slope = _logit_of_mixture(x, *mixture)
        total = scale + log_slope
        if mask is not None:
            x = torch.where(mask[..., None], x, moved)
            total = torch.where(mask[..., None], total, 0.0)
        return self.halves.merge(fixed, x), -total.sum(dim=2)

    def _condition(
        self, fixed: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor, Tensor]]:
        """s and t, (B, N, C), and ln w, m, r of the mixture, (B, N, C, K) each."""
        visible = None
        if mask is not None:
            fixed = fixed.masked_fill(~mask[..., None], 0.0)
            # A sample without a real token attends to zeros, not to nothing.
            visible = (mask | ~mask.any(dim=1, keepdim=True))[:, None, None]
        h = self.enter(fixed)
        q, k, v = (
            t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for t in self.qkv(self.norm_attention(h)).chunk(3, dim=-1)
        )
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=visible)
        h = h + self.project(attended.transpose(1, 2).flatten(2))
        raw = self.leave(self.norm_out(F.gelu(h))).unflatten(-1, (self.moved, -1))
        scale, shift = _clamped(raw[..., 0], self.clamp), raw[..., 1]
        weights, means, widths = raw[..., 2:].chunk(3, dim=-1)
        return scale, shift, (weights.log_softmax(dim=-1), means, _clamped(widths, MAX_LOG_WIDTH))


def _clamped(raw: Tensor, bound: float) -> Tensor:
    return bound * torch.tanh(raw / bound)


def _logit_of_mixture(
    x: Tensor, log_weights: Tensor, means: Tensor, log_widths: Tensor
) -> tuple[Tensor, Tensor]:
    """Logit F(x) and the log of its slope, (B, N, C) each."""
    z = (x[..., None] - means) * (-log_widths).exp()
    above, below = F.logsigmoid(z), F.logsigmoid(-z)
    log_cdf = torch.logsumexp(log_weights + above, dim=-1)
    log_rest = torch.logsumexp(log_weights + below, dim=-1)
    log_density = torch.logsumexp(log_weights + above + below - log_widths, dim=-1)
    return log_cdf - log_rest, log_density - log_cdf - log_rest


def _solve(target: Tensor, mixture: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """x with logit F(x) = target, differentiable in both."""
    with torch.no_grad():
        _, means, log_widths = mixture
        # logit F lies between the smallest and the largest (x - m_k) exp(-r_k).
        ends = means + target[..., None] * log_widths.exp()
        low, high = ends.amin(dim=-1), ends.amax(dim=-1)
        for _ in range(BISECTIONS.get(target.dtype, 40)):
            middle = (low + high) / 2
            above = _logit_of_mixture(middle, *mixture)[0] > target
            low, high = torch.where(above, low, middle), torch.where(above, middle, high)
        root = (low + high) / 2
    # One Newton step carries the first derivative, the second step those up to the third: the
    # error of a step is the square of the one before.
    for _ in range(2):
        value, log_slope = _logit_of_mixture(root, *mixture)
        root = root - (value - target) * (-log_slope).exp()
    return root
