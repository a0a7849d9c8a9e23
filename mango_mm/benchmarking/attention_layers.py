"""Layers that ICA is measured against: the same task and projections, other attention."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name everybody uses


class CausalAttention(nn.Module):
    """One half of the tokens attends to values of the other by F.scaled_dot_product_attention.

    Queries, keys, values and output are those of ICA; there is no log-determinant and no
    way back.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.query = nn.Sequential(nn.Linear(dim, dim, bias=False), nn.LayerNorm(dim))
        self.key = nn.Sequential(nn.Linear(dim, dim, bias=False), nn.LayerNorm(dim))
        self.gate = nn.Parameter(torch.tensor(0.1))

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        fixed, moved = x.chunk(2, dim=1)
        q, k, v = self.query(fixed)[:, None], self.key(fixed)[:, None], moved[:, None]
        o = F.scaled_dot_product_attention(q, k, v, is_causal=True)[:, 0]
        return torch.cat([fixed, torch.addcmul(moved, o, self.gate)], dim=1), None


class NaiveICA(CausalAttention):
    """The formula as it is printed: A = softmax + I, ln|det| by LU, inverse by SVD.

    Restated from the paper; the determinants are taken one matrix at a time, because
    batched LU has been seen to hang in oneMKL.
    """

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        fixed, moved = x.chunk(2, dim=1)
        a = self._matrix(fixed)
        log_det = x.shape[2] * torch.stack([torch.linalg.slogdet(m).logabsdet for m in a])
        return torch.cat([fixed, a @ moved], dim=1), log_det

    def inverse(self, y: Tensor) -> Tensor:
        fixed, moved = y.chunk(2, dim=1)
        return torch.cat([fixed, torch.linalg.pinv(self._matrix(fixed)) @ moved], dim=1)

    def _matrix(self, fixed: Tensor) -> Tensor:
        q, k = self.query(fixed), self.key(fixed)
        scores = q @ k.mT / q.shape[-1] ** 0.5
        hidden = torch.ones_like(scores, dtype=torch.bool).tril(-1)
        p = scores.masked_fill(hidden, float('-inf')).softmax(-1)
        return p + torch.eye(p.shape[-1], dtype=p.dtype, device=p.device)
