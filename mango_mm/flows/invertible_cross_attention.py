"""ICA, Invertible Cross-Attention: attention used as a triangular linear map.

Some tokens (``fixed``) produce an attention matrix; that matrix multiplies the
other tokens (``moved``). The mask makes it triangular, the added identity keeps
its diagonal away from zero, so that it is invertible for every input, and both
the inverse and the volume change are exact:

    q = LN(Wq x_f),  k = LN(Wk x_f)          read off the fixed tokens only
    P = softmax over j >= i of q_i . k_j / s upper triangular, rows sum to 1
    A = I + g P                              diagonal in (1 - |g|, 1 + |g|)
    y_m = A x_m,   y_f = x_f
    ln|det dy/dx| = d * sum_h sum_i ln(1 + g_h P^h_ii)

A acts alike on each of the d = D / H channels of a head h, hence the factor d. The
inverse is a triangular solve. The gate g bounds the condition number by
(1 + |g|) / (1 - |g|) for any weights and any number of tokens; without a bound a
deep stack is not invertible in floating point: every row of P + I sums to 2, so
that the mean over tokens doubles with each layer.

Shape letters: B batch, N tokens, n moved tokens, D channels, H heads, d = D / H.

Source:
    Truong et al., MANGO, NeurIPS 2025, https://arxiv.org/abs/2508.10133, Eq. 3-6, Fig. 3.
Differs from the paper and the authors' release (uark-cviu/MANGO, models/inv_attention.py):
    Eq. 4-5 print A = P, which is singular to working precision; the release has
    A = P + I, here the preset ``gate='paper'``. Eq. 6 prints the exponent N/2 and
    the release multiplies by n where the Jacobian A (x) I_D makes it D. The release
    inverts by a pseudo-inverse and takes an LU for the determinant. The release starts
    the scale s at 1, the paper leaves it open; here it starts at sqrt(d), as usual, and
    stays between 1/8 and 8 d, so that both are inside. The release cannot be trained as it
    is: its backward pass stops at an in-place ``att +=``, and its LICA at a name that is not
    defined.
"""

from __future__ import annotations

import math
from typing import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses

from mango_mm.flows.bijection import Bijection
from mango_mm.flows.token_partition import TokenPartition
from mango_mm.flows.triangular_attention import KERNELS, mix, solve

__all__ = ['InvertibleCrossAttention']

GATES = ('bounded', 'paper')


class InvertibleCrossAttention(Bijection):
    """ICA: lets one set of tokens mix another set without losing information.

    Args:
        dim: Channels D of every token.
        partition: Which positions condition and which move.
        num_heads: H; each mixes its own D / H channels with its own P and g.
        gate: ``'bounded'``: g = gate_max * tanh(learnable), one per head.
            ``'paper'``: g = 1, the authors' A; not invertible in float32 beyond
            about 16 layers.
        gate_init: Start of g, below ``gate_max``. In a deep stack: one over the
            number of ICA layers that move each token.
        gate_max: Bound of |g|, below 1.
        temperature: Start of s; None: sqrt(d), d = D / H. The authors' release starts at 1.
        kernel: ``'auto'``, ``'dense'``, ``'chunked'`` or ``'fused'``: see
            ``triangular_attention.select``. Second derivatives are those of ``'dense'`` with
            every kernel, in its O(n^2) memory. ``torch.func`` and forward mode need ``'dense'``,
            which ``'auto'`` takes there.

    Raises:
        ValueError: If the heads do not divide the channels, or the gate or the temperature
            is out of range.

    Example:
        >>> partition = TokenPartition(fixed=(0, 1), moved=(2, 3))
        >>> ica = InvertibleCrossAttention(dim=8, partition=partition)
        >>> x = torch.randn(5, 4, 8)
        >>> y, log_det = ica(x)
        >>> y.shape, log_det.shape
        (torch.Size([5, 4, 8]), torch.Size([5]))
        >>> torch.allclose(ica.inverse(y)[0], x, atol=1e-5)
        True
    """

    def __init__(
        self,
        dim: int,
        partition: TokenPartition,
        *,
        num_heads: int = 1,
        gate: str = 'bounded',
        gate_init: float = 0.25,
        gate_max: float = 0.9,
        temperature: float | None = None,
        kernel: str = 'auto',
    ) -> None:
        super().__init__()
        if dim % num_heads:
            raise ValueError(f'num_heads must divide dim; got {num_heads} heads, {dim} channels.')
        if gate not in GATES:
            raise ValueError(f'gate must be one of {GATES}; got {gate!r}.')
        if not 0 < gate_max < 1 or not abs(gate_init) < gate_max:
            raise ValueError(
                'gate_max must lie in (0, 1) and |gate_init| below it; '
                f'got gate_max {gate_max} and gate_init {gate_init}.'
            )
        if kernel not in KERNELS:
            raise ValueError(f'kernel must be one of {KERNELS}; got {kernel!r}.')
        self.partition, self.dim = partition, dim
        # Causal attention, which every kernel knows, is lower triangular: with the
        # tokens from the last to the first it is the upper triangle of the formulas.
        self.last_first = partition.flipped()
        self.num_heads, self.kernel = num_heads, kernel
        self.gate, self.gate_init, self.gate_max = gate, gate_init, gate_max
        d = dim // num_heads
        self.max_log_temperature = math.log(8 * math.sqrt(d))  # of s over sqrt(d), either way
        self.log_temperature = math.log((temperature or math.sqrt(d)) / math.sqrt(d))
        if not abs(self.log_temperature) < self.max_log_temperature:
            raise ValueError(
                f'temperature must lie between 1/8 and 8 d = {8 * d}; got {temperature}.'
            )
        self.query = nn.Sequential(nn.Linear(dim, dim, bias=False), nn.LayerNorm(dim))
        self.key = nn.Sequential(nn.Linear(dim, dim, bias=False), nn.LayerNorm(dim))
        self.raw_log_temperature = nn.Parameter(torch.zeros(num_heads))
        if gate == 'bounded':
            self.raw_gate = nn.Parameter(torch.empty(num_heads))
        else:
            self.register_parameter('raw_gate', None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        bound = self.max_log_temperature
        nn.init.constant_(
            self.raw_log_temperature, bound * math.atanh(self.log_temperature / bound)
        )
        if self.raw_gate is not None:
            nn.init.constant_(self.raw_gate, math.atanh(self.gate_init / self.gate_max))

    def transform(self, x: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._map(self.mix, x, mask)

    def inverse_transform(self, y: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
        return self._map(self.unmix, y, mask)

    def _map(
        self, attend: Callable[..., tuple[Tensor, Tensor]], x: Tensor, mask: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """All tokens, with the moved ones put through ``attend``: mix or unmix."""
        tokens = self.last_first
        fixed, moved, pieces = tokens.split(x)
        moved_mask = None if mask is None else tokens.split(mask)[1]
        moved, terms = attend(tokens.resample(fixed, mask), moved, moved_mask)
        return tokens.merge(pieces, moved), tokens.place(terms, x.shape[1])

    def mix(
        self, conditions: Tensor, moved: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """A x_m, with all tokens given from the last to the first.

        Args:
            conditions: One conditioning token per moved token, (B, n, D).
            moved: The moved tokens, (B, n, D).
            mask: Which moved tokens are real, (B, n).

        Returns:
            y: (B, n, D).
            terms: Of ln|det A|, of every moved token, (B, n).
        """
        q, k = self._queries_and_keys(conditions)
        g = self.gates()
        y, log_diagonal = mix(q, k, self._to_heads(moved), g, mask, kernel=self.kernel)
        return self._from_heads(y), self._terms(log_diagonal, g)

    def unmix(
        self, conditions: Tensor, moved: Tensor, mask: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """A^-1 y_m; arguments and result as in :meth:`mix`."""
        q, k = self._queries_and_keys(conditions)
        g = self.gates()
        right = self._to_heads(moved)
        bound = self.gate_max if self.gate == 'bounded' else 1.0
        x, log_diagonal = solve(q, k, right, g, mask, kernel=self.kernel, bound=bound)
        return self._from_heads(x), -self._terms(log_diagonal, g)

    def gates(self) -> Tensor:
        """g of every head, (H,)."""
        if self.raw_gate is None:
            return torch.ones_like(self.raw_log_temperature)
        return self.gate_max * torch.tanh(self.raw_gate)

    def condition_bound(self) -> Tensor:
        """Upper bound of the condition number of A in the infinity norm, (H,)."""
        if self.raw_gate is None:  # g = 1: attained by shift-like attention
            return torch.full_like(self.raw_log_temperature, 2.0 * len(self.partition.moved))
        g = self.gates().abs()
        return (1 + g) / (1 - g)

    def _queries_and_keys(self, conditions: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled queries and keys, (B, H, n, d) each."""
        d = self.dim // self.num_heads
        temperature = torch.exp(
            self.max_log_temperature
            * torch.tanh(self.raw_log_temperature / self.max_log_temperature)
        )
        norm: nn.LayerNorm = self.query[1]  # type: ignore[assignment]
        # The scale goes into the affine part of LN, which costs D numbers, not n D.
        scale = (temperature * math.sqrt(d)).reciprocal().repeat_interleave(d)
        q = F.layer_norm(
            self.query[0](conditions), (self.dim,), norm.weight * scale, norm.bias * scale, norm.eps
        )
        return self._to_heads(q), self._to_heads(self.key(conditions))

    def _to_heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    @staticmethod
    def _from_heads(x: Tensor) -> Tensor:
        return x.transpose(1, 2).flatten(2)

    def _terms(self, log_diagonal: Tensor, g: Tensor) -> Tensor:
        d = self.dim // self.num_heads
        return d * torch.log1p(g[:, None] * log_diagonal.exp()).sum(dim=1)
