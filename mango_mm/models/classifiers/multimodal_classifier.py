"""Multi-label classification of several modalities: encoders, any fusion, pooling, a head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel, ModuleDict
from torch import Tensor, nn

from mango_mm.fusion import Fusion
from mango_mm.registry import FUSIONS, MODELS, build_ours
from mango_mm.structures import MultiLabelSample

__all__ = ['MultimodalClassifier']


@MODELS.register_module()
class MultimodalClassifier(BaseModel):
    """Encodes every modality to tokens, fuses them, pools, and classifies.

    A modality that a sample lacks (``present`` in its metainfo) is masked out as a whole: the
    fusion sees no token of it, and a flow no dimension.

    Args:
        encoders: Config of an encoder per modality, in token order. An encoder returns tokens
            (B, N, C) and a mask (B, N) or None, and has ``out_dim``, its C.
        dim: Channels D of the tokens that are fused.
        num_classes: Classes.
        fusion: Config of a fusion. None: of one modality it is the unimodal baseline; of
            several late fusion: a head for each, whose logits are averaged.
        pool: ``'after'``: all tokens are fused, then averaged; ``'before'``: each modality is
            averaged to one token first, which fusions that join positions need.
        head: Options of ``MultiLabelHead``.
        nll_weight: Weight of the flow's negative log-likelihood per dimension.
        data_preprocessor: As in mmengine.
        init_cfg: As in mmengine.

    Raises:
        ValueError: If ``pool`` is unknown or there is no encoder.
    """

    def __init__(
        self,
        encoders: Mapping[str, dict[str, Any]],
        dim: int,
        num_classes: int,
        fusion: dict[str, Any] | None = None,
        pool: str = 'after',
        head: dict[str, Any] | None = None,
        nll_weight: float = 0.01,
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'mango_mm.FilmDataPreprocessor'}
        super().__init__(data_preprocessor=preprocessor, init_cfg=init_cfg)
        if pool not in ('before', 'after'):
            raise ValueError(f"pool must be 'before' or 'after'; got {pool!r}.")
        if not encoders:
            raise ValueError('encoders must name at least one modality; got none.')
        self.pool, self.nll_weight = pool, nll_weight
        self.encoders = ModuleDict({m: build_ours(MODELS, dict(c)) for m, c in encoders.items()})
        self.modalities = tuple(encoders)
        self.enter = ModuleDict(
            {m: nn.Linear(encoder.out_dim, dim) for m, encoder in self.encoders.items()}
        )
        self.fusion: Fusion | None = None
        if fusion is not None:
            self.fusion = build_ours(FUSIONS, dict(fusion), modalities=self.modalities, dim=dim)
        options = {'type': 'MultiLabelHead', **(head or {})}
        width = dim if self.fusion is None else self.fusion.out_dim
        names = self.modalities if self.fusion is None else ('fused',)
        self.heads = ModuleDict(
            {
                name: build_ours(MODELS, options, in_channels=width, num_classes=num_classes)
                for name in names
            }
        )

    def init_weights(self) -> None:
        """Initialise, then put the fusion back to its own start."""
        super().init_weights()
        if self.fusion is not None:
            self.fusion.reset_parameters()

    @property
    def head(self) -> Any:
        """The head that holds the thresholds."""
        return next(iter(self.heads.values()))

    def fit_vocabulary(self, texts: Sequence[str]) -> None:
        """Let every encoder that builds a vocabulary see the training texts."""
        for encoder in self.encoders.values():
            if hasattr(encoder, 'fit'):
                encoder.fit(texts)

    def forward(
        self,
        inputs: Mapping[str, Any],
        data_samples: Sequence[MultiLabelSample] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Logits (B, num_classes), losses or samples with scores, as mmengine's modes ask."""
        tokens, masks = self.encode(inputs, data_samples)
        logits, losses, nll = self.classify(tokens, masks)
        if mode == 'tensor':
            return torch.stack(list(logits.values())).mean(dim=0)
        if mode == 'loss':
            labels = torch.stack([sample.gt_label for sample in data_samples or ()])
            for name, value in logits.items():
                key = 'loss_cls' if len(logits) == 1 else f'loss_cls_{name}'
                losses[key] = self.heads[name].loss(value, labels)
            return losses
        if mode != 'predict':
            raise ValueError(f"mode must be 'tensor', 'loss' or 'predict'; got {mode!r}.")
        scores = torch.stack(list(logits.values())).mean(dim=0).sigmoid()
        samples = list(data_samples or (MultiLabelSample() for _ in scores))
        for i, sample in enumerate(samples):
            sample.pred_score, sample.thresholds = scores[i], self.head.thresholds.clone()
            if nll is not None:
                sample.nll_per_dim = nll[i]
        return samples

    def encode(
        self, inputs: Mapping[str, Any], data_samples: Sequence[MultiLabelSample] | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Tokens (B, N_m, dim) and masks (B, N_m) of every modality.

        Raises:
            KeyError: If a modality is missing from the inputs.
        """
        missing = [m for m in self.modalities if m not in inputs]
        if missing:
            raise KeyError(
                f'the model reads {self.modalities}; the input lacks {missing} '
                f'(it has {list(inputs)}).'
            )
        tokens, masks = {}, {}
        for m in self.modalities:
            x, mask = self.encoders[m](inputs[m])
            if mask is None:
                mask = x.new_ones(x.shape[:2], dtype=torch.bool)
            if data_samples is not None:
                present = [sample.get('present', {}).get(m, True) for sample in data_samples]
                mask = mask & torch.tensor(present, device=mask.device)[:, None]
            tokens[m], masks[m] = self.enter[m](x), mask
        return tokens, masks

    def classify(
        self, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor | None]:
        """Logits of every head, further losses, and the flow's NLL per dimension, (B,)."""
        if self.fusion is None:
            logits = {m: self.heads[m](masked_mean(tokens[m], masks[m])) for m in self.modalities}
            return logits, {}, None
        if self.pool == 'before':
            pooled = {m: masked_mean(tokens[m], masks[m])[:, None] for m in self.modalities}
            seen = {m: masks[m].any(dim=1, keepdim=True) for m in self.modalities}
        else:
            pooled, seen = self._pad(tokens, masks)
        if all(bool(mask.all()) for mask in seen.values()):
            output = self.fusion(pooled)
        else:
            output = self.fusion(pooled, masks=seen)
        real = output.mask
        if real is None:
            real = output.fused.new_ones(output.fused.shape[:2], dtype=torch.bool)
        losses = {f'loss_{k}': v for k, v in output.extras.get('losses', {}).items()}
        nll = output.nll_per_dim()
        if nll is not None:
            losses['loss_nll'] = self.nll_weight * nll.mean()
            losses['nll_per_dim'] = nll.mean().detach()
        return {'fused': self.heads['fused'](masked_mean(output.fused, real))}, losses, nll

    def _pad(
        self, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Masked tokens up to the lengths that a flow was built for."""
        lengths = dict(zip(self.modalities, getattr(self.fusion, 'lengths', ())))
        padded, seen = {}, {}
        for m, x in tokens.items():
            more = lengths.get(m, x.shape[1]) - x.shape[1]
            if more < 0:
                raise ValueError(
                    f'the fusion was built for {lengths[m]} tokens of {m!r}; the encoder '
                    f'delivers {x.shape[1]}. Set num_tokens, or the max_length of the encoder.'
                )
            padded[m] = nn.functional.pad(x, (0, 0, 0, more))
            seen[m] = nn.functional.pad(masks[m], (0, more))
        return padded, seen


def masked_mean(tokens: Tensor, mask: Tensor) -> Tensor:
    """Mean of the real tokens, (B, D); zero where there is none."""
    total = tokens.masked_fill(~mask[..., None], 0.0).sum(dim=1)
    return total / mask.sum(dim=1, keepdim=True).clamp(min=1)
