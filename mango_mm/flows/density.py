"""The density that a bijection gives to tokens: ln p(x) = ln N(f(x); 0, I) + ln|det df/dx|.

Shape letters: B batch, N tokens, D channels.

Source:
    Truong et al., MANGO, https://arxiv.org/abs/2508.10133, Eq. 2.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from mango_mm.flows.bijection import Bijection

__all__ = ['FlowDensity', 'gaussian_log_prob', 'gaussian_terms', 'num_dims']


def num_dims(tokens: Tensor, mask: Tensor | None = None) -> Tensor:
    """Dimensions of each sample's density: real tokens times D, (B,)."""
    batch, n, d = tokens.shape
    if mask is None:
        return torch.full((batch,), n * d, device=tokens.device)
    return mask.sum(dim=1) * d


def gaussian_terms(z: Tensor, mask: Tensor | None = None) -> Tensor:
    """What every token adds to ln N(z; 0, I), in nats, (B, N); 0 for padding."""
    squares = z.float().square() if z.dtype in (torch.float16, torch.bfloat16) else z.square()
    terms = -0.5 * (squares + math.log(2 * math.pi)).sum(dim=2)
    return terms if mask is None else torch.where(mask, terms, 0.0)


def gaussian_log_prob(z: Tensor, mask: Tensor | None = None) -> Tensor:
    """ln N(z; 0, I) in nats, summed over real tokens and channels, (B,).

    The sum runs in float32 at least.
    """
    squares = z.float().square() if z.dtype in (torch.float16, torch.bfloat16) else z.square()
    if mask is not None:
        squares = torch.where(mask[..., None], squares, 0.0)
    # An integer times a float would be float32, whatever z is.
    constant = num_dims(z, mask).to(squares.dtype) * math.log(2 * math.pi)
    return -0.5 * (squares.sum(dim=(1, 2)) + constant)


class FlowDensity(nn.Module):
    """A standard normal seen through a bijection.

    Args:
        bijection: Maps data to the latent.

    Example:
        >>> from mango_mm.flows import ActNorm
        >>> density = FlowDensity(ActNorm(dim=2).eval())
        >>> round(float(density.log_prob(torch.zeros(1, 1, 2))), 4)  # -ln(2 pi)
        -1.8379
        >>> density.sample(4, num_tokens=3, dim=2).shape
        torch.Size([4, 3, 2])
    """

    def __init__(self, bijection: Bijection) -> None:
        super().__init__()
        self.bijection = bijection

    def log_prob(self, x: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """ln p(x) in nats, summed over real tokens and channels, (B,)."""
        z, log_det = self.bijection(x, mask=mask)
        return gaussian_log_prob(z, mask) + log_det  # type: ignore[no-any-return]

    def log_prob_terms(self, x: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """What every token adds to ln p(x), (B, N); see ``bijection`` for what that is."""
        z, terms = self.bijection(x, mask=mask, terms=True)
        return gaussian_terms(z, mask) + terms  # type: ignore[no-any-return]

    def nll_per_dim(self, x: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """-ln p(x) in nats per dimension, (B,); 0 for a sample that is all padding."""
        return -self.log_prob(x, mask=mask) / num_dims(x, mask).clamp(min=1)

    def bits_per_dim(self, x: Tensor, *, mask: Tensor | None = None) -> Tensor:
        """-log2 p(x) per dimension, (B,). Of continuous data; it may be negative."""
        return self.nll_per_dim(x, mask=mask) / math.log(2)

    @torch.no_grad()
    def sample(
        self, num_samples: int, *, num_tokens: int, dim: int, temperature: float = 1.0
    ) -> Tensor:
        """Draw tokens, (num_samples, num_tokens, dim).

        Args:
            num_samples: How many.
            num_tokens: Tokens of each.
            dim: Channels of each token.
            temperature: Standard deviation of the latent; 0 gives the image of its mode.

        Raises:
            ValueError: If the temperature is negative.
        """
        if temperature < 0:
            raise ValueError(f'temperature must not be negative; got {temperature}.')
        like = next(self.bijection.parameters(), torch.empty(0))
        z = temperature * torch.randn(
            num_samples, num_tokens, dim, dtype=like.dtype, device=like.device
        )
        x: Tensor = self.bijection.inverse(z)[0]
        return x
