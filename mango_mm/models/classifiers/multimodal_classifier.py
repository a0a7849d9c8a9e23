"""Recognition from several modalities: encoders, any fusion, pooling, a head of any kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Union

import torch
from mmengine.model import BaseModel, ModuleDict
from torch import Tensor, nn

from mango_mm.fusion import Fusion
from mango_mm.fusion.late import certainty, combine_logits, fused_if_whole
from mango_mm.fusion.tokens import masked_mean
from mango_mm.modalities import Modalities, specs_by_name
from mango_mm.models.cached_inputs import Cached, weights_hash
from mango_mm.models.classifiers.frozen_encoder import FrozenEncoder
from mango_mm.models.compiled_flows import compile_flows
from mango_mm.models.likelihood_losses import likelihood_losses
from mango_mm.models.presence import presence
from mango_mm.models.trusted_ensemble import TrustedEnsemble, describe_tokens, trust_of_sample
from mango_mm.registry import FUSIONS, MODELS, build_ours
from mango_mm.structures import MultiLabelSample, SequenceSample

__all__ = ['MultimodalClassifier']

Sample = Union[MultiLabelSample, SequenceSample]
COMBINE = ('mean', 'entropy', 'trust')
FUSED, SHARED = 'fused', 'shared'  # names of heads beside the modalities'


@MODELS.register_module()
class MultimodalClassifier(BaseModel):
    """Encodes every modality to tokens, fuses them, pools, and classifies.

    A modality that a sample lacks (``present`` in its metainfo) is masked out as a whole: the
    fusion sees no token of it, and a flow no dimension.

    Args:
        encoders: A list of configs of encoders, in token order, each with the ``name`` of its
            modality; or a dict by name, in alphabetical order. An encoder returns tokens
            (B, N, C) and a mask (B, N) or None, and has ``out_dim``, its C.
        dim: Channels D of the tokens that are fused.
        num_classes: Outputs of a head: classes, or numbers of a regression.
        fusion: Config of a fusion. None: of one modality it is the unimodal baseline; of
            several late fusion: a head for each, combined over those that a sample has.
        pool: ``'after'``: all tokens are fused, then averaged; ``'before'``: each modality is
            averaged to one token first, which fusions that join positions need.
        head: Options of ``MultiLabelHead``, or of the ``type`` of :class:`PerceptronHead` that they
            name: ``MultiClassHead``, ``RegressionHead``.
        unimodal_heads: With a fusion: a dict gives every modality a head of its own besides,
            which decides where a sample lacks one (MIND). Its keys, with or without a fusion:
            ``combine``, ``'mean'`` (UME), ``'entropy'`` (MLA) or, with a fusion, ``'trust'``: all
            predictions, the fused one included, weighted by the posterior over which sensors work
            (``mango_mm/explicit/trust.py``), which ``TrustHook`` fits; ``shared``, one head for all
            modalities; and ``trust``, options of ``TrustedEnsemble``.
        nll_weight: Weight of the flow's negative log-likelihood per dimension.
        use: Those of the modalities that get an encoder; None: all. With one name this is the
            unimodal baseline on the same data.
        compile: Compile the flow: True, or options of ``torch.compile``.
        data_preprocessor: The same as in mmengine.
        init_cfg: The same as in mmengine.

    Raises:
        ValueError: If ``pool`` is unknown or there is no encoder.
    """

    def __init__(
        self,
        encoders: Modalities,
        dim: int,
        num_classes: int,
        fusion: dict[str, Any] | None = None,
        pool: str = 'after',
        head: dict[str, Any] | None = None,
        unimodal_heads: dict[str, Any] | None = None,
        nll_weight: float = 0.01,
        use: Sequence[str] | None = None,
        compile: bool | dict[str, Any] = False,  # noqa: FBT001, FBT002, A002  # a config's keyword
        data_preprocessor: dict[str, Any] | None = None,
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'mango_mm.MovieDataPreprocessor'}
        super().__init__(data_preprocessor=preprocessor, init_cfg=init_cfg)
        if pool not in ('before', 'after'):
            raise ValueError(f"pool must be 'before' or 'after'; got {pool!r}.")
        if not encoders:
            raise ValueError('encoders must name at least one modality; got none.')
        self.pool, self.nll_weight = pool, nll_weight
        specs = specs_by_name(encoders)
        unknown = [m for m in use or () if m not in specs]
        if unknown or (use is not None and not use):
            raise ValueError(f'use must name some of {list(specs)}; got {use}.')
        specs = {m: spec for m, spec in specs.items() if use is None or m in use}
        self.encoders = ModuleDict({m: build_ours(MODELS, dict(c)) for m, c in specs.items()})
        self.modalities = tuple(specs)
        self.enter = ModuleDict(
            {m: nn.Linear(encoder.out_dim, dim) for m, encoder in self.encoders.items()}
        )
        self.fusion: Fusion | None = None
        if fusion is not None:
            self.fusion = build_ours(FUSIONS, dict(fusion), modalities=self.modalities, dim=dim)
        compile_flows([self.fusion], compile)
        several = {'combine': 'mean', 'shared': False, **(unimodal_heads or {})}
        self.combine, self.shared = several.pop('combine'), several.pop('shared')
        trust = dict(several.pop('trust', None) or {})
        if several or self.combine not in COMBINE:
            raise ValueError(
                f'unimodal_heads takes combine, one of {COMBINE}, shared and trust; '
                f'got {unimodal_heads}.'
            )
        if trust and self.combine != 'trust':
            raise ValueError(f"trust is of combine='trust'; got {self.combine!r}.")
        options = {'type': 'MultiLabelHead', **(head or {})}
        width = dim if self.fusion is None else self.fusion.out_dim
        names = () if self.fusion is None else (FUSED,)
        if self.fusion is None or unimodal_heads is not None:
            names += (SHARED,) if self.shared else self.modalities
        self.heads = ModuleDict(
            {
                name: build_ours(
                    MODELS, options, num_classes=num_classes,
                    in_channels=width if name == FUSED else dim,
                )
                for name in names
            }
        )  # fmt: skip
        if self.combine == 'trust':
            if self.fusion is None:
                raise ValueError("combine='trust' needs a fusion beside the unimodal heads.")
            numbers = self.head.kind == 'regression'
            self.ensemble = TrustedEnsemble(
                self.modalities, 2 * dim, (1, 1), values=numbers, **trust
            )
        if self.combine == 'entropy' and self.head.kind == 'regression':
            raise ValueError("combine='entropy' needs classes: a regression has no entropy.")

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
        data_samples: Sequence[Sample] | None = None,
        mode: str = 'tensor',
    ) -> Any:
        """Logits (B, num_classes), losses or samples with scores, as mmengine's modes ask."""
        tokens, masks = self.encode(inputs, data_samples)
        logits, losses, nll = self.classify(tokens, masks)
        if mode == 'loss':
            return {**losses, **self.head_losses(logits, data_samples or ())}
        present, trust = self.presence(data_samples), None
        if self.combine == 'trust' and mode in ('tensor', 'predict'):
            joint, trust = self.trusted(tokens, masks, logits, present)
        else:
            joint = self.combined(logits, present)
        if mode == 'tensor':
            return joint
        if mode != 'predict':
            raise ValueError(f"mode must be 'tensor', 'loss' or 'predict'; got {mode!r}.")
        predicted = self.head.predict(joint)
        count = len(next(iter(predicted.values())))
        samples = list(data_samples or (self.head.sample_type() for _ in range(count)))
        for i, sample in enumerate(samples):
            for field, values in predicted.items():
                setattr(sample, field, values[i])
            if nll is not None:
                sample.nll_per_dim = nll[i]
            if trust is not None:
                for field, value in trust_of_sample(trust, i, self.modalities).items():
                    if field != 'trust_map':  # a sample is one window
                        setattr(sample, field, value)
        return samples

    def trusted(
        self,
        tokens: Mapping[str, Tensor],
        masks: Mapping[str, Tensor],
        logits: Mapping[str, Tensor],
        present: Tensor | None = None,
    ) -> tuple[Tensor, Any]:
        """Logits or values (B, num_classes) by ``'trust'``, and the ``TrustOutput`` or None."""
        said = [self._probabilities(logits[name]) for name in (*self.modalities, FUSED)]
        described = {m: describe_tokens(tokens[m], masks[m]) for m in self.modalities}
        mixed, trust = self.ensemble(described, said, present)
        if self.head.kind == 'multi_label':
            return torch.logit(mixed, eps=1e-6), trust
        return mixed if self.head.kind == 'regression' else mixed.clamp(min=1e-9).log(), trust

    def _probabilities(self, logits: Tensor) -> Tensor:
        """What is mixed: probabilities, or the values of a regression."""
        if self.head.kind == 'multi_label':
            return logits.sigmoid()
        return logits if self.head.kind == 'regression' else logits.softmax(dim=1)

    @property
    def trusted_ensemble(self) -> TrustedEnsemble:
        """The one of ``combine='trust'``.

        Raises:
            TypeError: If there is none.
        """
        if self.combine != 'trust':
            raise TypeError(
                f"trust needs unimodal_heads=dict(combine='trust'); got combine={self.combine!r}."
            )
        return self.ensemble

    def sensors_hash(self) -> str:
        """SHA-256 of all that a trust's windows depend on: encoders and data preprocessor."""
        return weights_hash(self.encoders, self.enter, self.data_preprocessor)

    def sensors_and_truth(
        self, inputs: Mapping[str, Any], data_samples: Sequence[Sample], *, labelled: bool
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """What a trust is fitted to and calibrated on: see ``TrustHook``.

        Args:
            inputs: Of a batch.
            data_samples: Likewise.
            labelled: Whether the second is asked for.

        Returns:
            Windows (B, 1, F) of each modality, and what the weights of the ensemble's predictions
            are learned on, of every label, (N, K): the likelihood of the truth, of a regression
            prediction minus truth; or None.
        """
        tokens, masks = self.encode(inputs, data_samples)
        described = {m: describe_tokens(tokens[m], masks[m]) for m in self.modalities}
        if not labelled:
            return described, None
        logits, _, _ = self.classify(tokens, masks)
        said = torch.stack([self._probabilities(logits[n]) for n in (*self.modalities, FUSED)])
        labels = self.head.targets(data_samples).to(said.device)
        if self.head.kind == 'multi_label':
            found = torch.where(labels > 0.5, said, 1 - said)
        elif self.head.kind == 'multi_class':
            found = said.gather(2, labels.long().reshape(1, -1, 1).expand(len(said), -1, 1))
        else:
            found = said - labels.reshape(said.shape[1:])
        return described, found.flatten(1).T

    def presence(self, samples: Sequence[Sample] | None) -> Tensor | None:
        """Which modalities the samples have, bool (B, M); None: all."""
        if samples is None:
            return None
        return presence([s.metainfo for s in samples], self.modalities, some=False)

    def head_of(self, name: str) -> Any:
        """The head of a modality, or of the fused feature."""
        return self.heads[SHARED if self.shared and name != FUSED else name]

    def head_losses(
        self, logits: Mapping[str, Tensor], samples: Sequence[Sample]
    ) -> dict[str, Tensor]:
        """The loss of every head, over the samples that have its modality."""
        labels = self.head.targets(samples)
        present = self.presence(samples) if len(logits) > 1 else None
        losses = {}
        for name, value in logits.items():
            key = 'loss_cls' if len(logits) == 1 else f'loss_cls_{name}'
            if present is None or name == FUSED:  # a fusion masks what is absent itself
                losses[key] = self.head_of(name).loss(value, labels)
                continue
            seen = present[:, self.modalities.index(name)].to(value.device)
            share = seen.float().mean()  # as if the others had a loss of zero; 0 if none has it
            found = self.head_of(name).loss(value[seen], labels[seen]) if seen.any() else 0.0
            losses[key] = share * found + 0.0 * value.sum()
        return losses

    def combined(self, logits: Mapping[str, Tensor], present: Tensor | None = None) -> Tensor:
        """One prediction (B, num_classes) of those of the heads."""
        if len(logits) == 1:
            return next(iter(logits.values()))
        if FUSED in logits and present is None:
            return logits[FUSED]
        stacked = torch.stack([logits[m] for m in self.modalities])
        several = self.head.kind == 'multi_label'
        scores = certainty(stacked, multi_label=several) if self.combine == 'entropy' else None
        joint = combine_logits(stacked, scores, present)
        if FUSED not in logits or present is None:
            return joint
        return fused_if_whole(logits[FUSED], joint, present)

    def encode(
        self,
        inputs: Mapping[str, Any],
        data_samples: Sequence[Sample] | None = None,
        *,
        only: Sequence[str] | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Tokens (B, N_m, dim) and masks (B, N_m) of every modality, or of ``only`` some.

        Raises:
            KeyError: If a modality is missing from the inputs.
        """
        names = self.modalities if only is None else tuple(only)
        missing = [m for m in names if m not in inputs]
        if missing:
            raise KeyError(
                f'the model reads {names}; the input lacks {missing} (it has {list(inputs)}).'
            )
        tokens, masks = {}, {}
        for m in names:
            x, mask = self.encoders[m](inputs[m])
            if mask is None:
                mask = x.new_ones(x.shape[:2], dtype=torch.bool)
            if data_samples is not None:
                present = [sample.get('present', {}).get(m, True) for sample in data_samples]
                mask = mask & torch.tensor(present, device=mask.device)[:, None]
            tokens[m], masks[m] = self.enter[m](x), mask
        return tokens, masks

    def frozen_features(
        self, inputs: Mapping[str, Any], data_samples: Sequence[Sample] = ()
    ) -> dict[str, Cached]:
        """Tokens and mask that every frozen encoder makes, by modality.

        Raises:
            ValueError: If an encoder is trained.
        """
        self._check_frozen()
        return {m: Cached(encoder.encode(inputs[m])) for m, encoder in self.encoders.items()}

    def frozen_weights(self) -> dict[str, str]:
        """By modality, SHA-256 of all that :meth:`frozen_features` depends on.

        Raises:
            ValueError: If an encoder is trained.
        """
        self._check_frozen()
        return {m: weights_hash(e, self.data_preprocessor) for m, e in self.encoders.items()}

    def _check_frozen(self) -> None:
        trained = [m for m, e in self.encoders.items() if not isinstance(e, FrozenEncoder)]
        if trained:
            raise ValueError(
                f'features are cached of frozen encoders; those of {trained} are trained: put them '
                'into a FrozenEncoder.'
            )

    def classify(
        self, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor | None]:
        """Logits of every head, further losses, and the flow's NLL per dimension, (B,)."""
        logits = {}
        if self.fusion is None or len(self.heads) > 1:
            for m in self.modalities:
                logits[m] = self.head_of(m)(masked_mean(tokens[m], masks[m]))
        if self.fusion is None:
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
        losses = {f'loss_{k}': v for k, v in output.losses.items()}
        nll = output.nll_per_dim()
        losses.update(likelihood_losses(nll, self.nll_weight))
        logits[FUSED] = self.heads[FUSED](masked_mean(output.fused, real))
        return logits, losses, nll

    def _pad(
        self, tokens: Mapping[str, Tensor], masks: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Masked tokens up to the lengths that a flow was built for."""
        lengths = dict(zip(self.modalities, getattr(self.fusion, 'lengths', None) or ()))
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
