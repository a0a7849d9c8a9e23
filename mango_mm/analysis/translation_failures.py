"""What failing sources do to a translator that knows whom to trust, and to its rivals.

The counterpart of :class:`~mango_mm.analysis.sensor_failures.SensorFailures` for images. Rules
share the images of one ``unimodal_decoders=dict(combine='trust')``:

    trust, mean (UME), fused, <source>, told, and told, one frame

A model of another kind has one rule, ``prediction``. Scores are errors on [-1, 1]: less is better.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, cast

import torch
from mmengine.runner import Runner
from torch import Tensor

from mango_mm.analysis.conditions import KINDS, PREDICTION, TRUST, Condition
from mango_mm.analysis.failure_check import FailureCheck, Rules
from mango_mm.evaluation.functional import PixelErrorSums
from mango_mm.explicit import rivals
from mango_mm.explicit.trust import TrustOutput
from mango_mm.models.trusted_ensemble import TrustedEnsemble

__all__ = ['TranslationFailures']

FUSED = 'fused'
FROZEN = 'frozen'
Images = dict[str, Tensor]


class TranslationFailures(FailureCheck):
    """A trained translator, with failing sources. As its base class."""

    OF = 'sources'
    SEVERITIES = (0,)  # being frozen has none
    COMBINED = ('mean', FUSED, 'told', 'told, one frame')

    def _modalities(self) -> tuple[str, ...]:
        if not hasattr(self.model, 'generator') or not hasattr(self.model, 'sources'):
            raise TypeError(
                'failing sources of images are of a MultimodalTranslator; got a '
                f'{type(self.model).__name__}.'
            )
        return tuple(self.model.sources)

    def _degraded(self, kinds: Sequence[str] | None, severities: Sequence[int]) -> list[Condition]:
        """Every source frozen: it shows the view before."""
        known = {f'{m}_{FROZEN}': m for m in self.modalities}
        strange = [kind for kind in kinds or () if kind not in known]
        if strange:
            raise ValueError(f'degradations of a translator are {[*known]}; got {strange}.')
        chosen = known if kinds is None else kinds
        return [Condition(k, KINDS, (known[k],), seen=False) for k in chosen]

    @torch.no_grad()
    def evaluate(self, condition: Condition) -> list[dict[str, Any]]:
        """One line per rule: MAE, MSE and RMSE, and of the trust its alarm."""
        sums: dict[str, PixelErrorSums] = {}
        trusts: list[TrustOutput] = []
        for samples, rules, trust in self._predictions(condition):
            for rule, images in rules.items():
                for image, sample in zip(images, samples):
                    sums[rule] = sums.get(rule, PixelErrorSums()) + PixelErrorSums.of(
                        image.float().cpu().numpy(),
                        sample.gt_img.float().cpu().numpy(),
                        sample.gt_mask[0].cpu().numpy() > 0,
                    )
            if trust is not None:
                trusts.append(trust)
        found = []
        for rule, total in sums.items():
            line = condition.line(rule) | {'metrics': total.errors()}
            if rule == TRUST and trusts:
                line.update(self._alarms(condition, trusts))
            found.append(line)
        return found

    def _predictions(self, condition: Condition) -> Iterator[Any]:
        loader = self.plain_loader('val')
        loader['batch_size'] = max(2, loader['batch_size'])  # the first view is frozen, too
        before: Images | None = None
        for number, batch in enumerate(Runner.build_dataloader(loader)):
            data = self.model.data_preprocessor(batch, training=False)
            samples, clean = data['data_samples'], data['inputs']
            inputs = self._broken(condition, clean, before, number)
            before = clean
            size = next(iter(inputs.values())).shape[-2:]
            pyramids = self.model.generator.encode(inputs)
            images, _, _ = self.model.generator.decode(pyramids, (int(size[0]), int(size[1])))
            image, trust = self.model.combined(pyramids, images)
            if self.ensemble is None:
                yield samples, {PREDICTION: image}, None
                continue
            yield samples, self.scored(self._all(image, images, condition)), trust

    def _broken(
        self, condition: Condition, clean: Images, before: Images | None, number: int
    ) -> Images:
        """The sources of a batch as a condition makes them."""
        if condition.protocol == KINDS:
            frozen = dict(clean)
            for m in condition.broken:
                # The first view of all has none before it, and takes the second's.
                last = clean[m][1:2] if before is None else before[m][-1:]
                frozen[m] = torch.cat([last, clean[m][:-1]])
                if len(frozen[m]) < len(clean[m]):
                    raise ValueError('a frozen source shows another view: there must be two.')
            return frozen
        if condition.failure is None:
            return clean
        channels = {m: x.shape[1] for m, x in clean.items()}
        stacked = torch.cat([*clean.values()], dim=1)
        broken = condition.failure.apply(stacked, channels, self.seed + number)
        return dict(zip(channels, broken.split([*channels.values()], dim=1)))

    def _all(self, trusted: Tensor, images: Mapping[str, Tensor], condition: Condition) -> Rules:
        made = torch.stack([images[name] for name in (*self.modalities, FUSED)])
        weights = cast(TrustedEnsemble, self.ensemble).weights
        told = partial(rivals.oracle_mixture, made, weights, condition.broken)
        return {
            TRUST: lambda: trusted,
            'mean': lambda: made[:-1].mean(dim=0),
            FUSED: lambda: made[-1],
            **{m: partial(made.__getitem__, i) for i, m in enumerate(self.modalities)},
            'told': told,
            'told, one frame': partial(told, blamable=condition.seen),
        }
