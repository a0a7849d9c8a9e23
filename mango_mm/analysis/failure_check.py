"""What checks of failing sensors share: the opened model, its rules, the loop over conditions."""

from __future__ import annotations

import abc
import copy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from tqdm import tqdm

from mango_mm.analysis.conditions import CLEAN, KINDS, PREDICTION, TRUST, Alarms, Condition
from mango_mm.apis.open_model import open_model
from mango_mm.evaluation.functional.calibration import ConfidenceCounts
from mango_mm.evaluation.functional.failures import PROTOCOLS, failures_of
from mango_mm.models.trusted_ensemble import trusted_of
from mango_mm.pipelines import in_order, without_workers

__all__ = ['FailureCheck']

FAILING = 'all failures'
Rules = dict[str, Callable[[], Tensor]]  # what each predicts, asked for only if it is scored


class FailureCheck(abc.ABC):
    """A trained model, ready to be evaluated with failing sensors.

    Args:
        config: Of the training.
        checkpoint: File, or a work dir.
        options: Overrides of the config.
        seed: Of what is random in failures.
        rules: Those that are scored; None: all.

    Attributes:
        ensemble: The ``TrustedEnsemble`` of the model; None: it has none, and one rule.

    Raises:
        TypeError: If the model is of another task.
        FileNotFoundError: If config or checkpoint do not exist.
        ValueError: If the checkpoint is of another model, its trust is not calibrated, or a rule
            is unknown.
    """

    OF = 'sensors'  # what fails
    PROTOCOLS = (*PROTOCOLS, KINDS)
    SEVERITIES: tuple[int, ...]  # of kinds, unless told
    COMBINED: tuple[str, ...]  # rules over the experts and the fused head of a trust

    def __init__(
        self,
        config: str | Path,
        checkpoint: str | Path,
        options: Mapping[str, Any] | None = None,
        seed: int = 0,
        rules: Sequence[str] | None = None,
    ) -> None:
        self.config, self.model = open_model(config, checkpoint, options=options)
        self.modalities = self._modalities()
        self.ensemble = trusted_of(self.model)
        if self.ensemble is not None and not self.ensemble.trust.calibrated:
            raise ValueError(
                f'the trust of {checkpoint} is not calibrated: train to the end with a TrustHook.'
            )
        known = (PREDICTION,)
        if self.ensemble is not None:
            known = (TRUST, *self.modalities, *self.COMBINED)
        unknown = [rule for rule in rules or () if rule not in known]
        if unknown:
            raise ValueError(f'rules of {config} are {known}; got {unknown}.')
        self.seed, self.rules = seed, known if rules is None else tuple(rules)
        self._alarms = Alarms(self.modalities)
        self._sure: dict[str, dict[str, list[ConfidenceCounts]]] = {CLEAN: {}, FAILING: {}}
        self._prepare()

    def _prepare(self) -> None:  # noqa: B027  # most need nothing
        """What a check needs beside its model."""

    @abc.abstractmethod
    def _modalities(self) -> tuple[str, ...]:
        """Of the model; a TypeError if it is of another task."""

    def conditions(
        self,
        protocols: Sequence[str],
        kinds: Sequence[str] | None = None,
        severities: Sequence[int] | None = None,
    ) -> list[Condition]:
        """Clean samples, then what the protocols ask for.

        Args:
            protocols: Some of ``PROTOCOLS``.
            kinds: Degradations, of the protocol ``'kinds'``; None: all that apply.
            severities: Of each; None: ``SEVERITIES``.

        Raises:
            ValueError: If a protocol or a kind is unknown.
        """
        unknown = [p for p in protocols if p not in self.PROTOCOLS]
        if unknown:
            raise ValueError(f'protocols of {self.OF} are {self.PROTOCOLS}; got {unknown}.')
        found = [Condition(CLEAN, CLEAN)]
        for protocol in protocols:
            if protocol == KINDS:
                found += self._degraded(kinds, severities or self.SEVERITIES)
            else:
                found += self._failing(protocol)
        return found

    def _failing(self, protocol: str) -> list[Condition]:
        """Those of a protocol that is not ``'kinds'``."""
        return [
            Condition(f.name, protocol, f.broken, failure=f)
            for f in failures_of(protocol, self.modalities)
        ]

    @abc.abstractmethod
    def _degraded(self, kinds: Sequence[str] | None, severities: Sequence[int]) -> list[Condition]:
        """One of every degradation; a ValueError if one is unknown."""

    @abc.abstractmethod
    def evaluate(self, condition: Condition) -> list[dict[str, Any]]:
        """One line per rule: metrics, calibration, and of the trust its alarm."""

    def run(self, conditions: Sequence[Condition]) -> list[dict[str, Any]]:
        """Every rule under every condition; the first one must be the clean one."""
        lines: list[dict[str, Any]] = []
        for condition in tqdm(conditions, desc='failures', unit='condition'):
            lines += self.evaluate(condition)
        return lines

    def plain_loader(self, split: str) -> dict[str, Any]:
        """Config of a loader of a split: in order, in this process; free to be changed."""
        return without_workers(in_order(copy.deepcopy(self.config[f'{split}_dataloader'])))

    def note_confidence(self, rule: str, condition: Condition, sure: Any, right: Any) -> None:
        """Keep how sure a rule was, (N,), and whether it was right, (N,), for :meth:`curves`."""
        group = CLEAN if condition.protocol == CLEAN else FAILING
        self._sure[group].setdefault(rule, []).append(ConfidenceCounts.of(sure, right))

    def curves(self, rules: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Reliability and risk over coverage of rules, of clean samples and of all failures.

        As :func:`~mango_mm.visualization.trust.draw_calibration` takes them; empty of predictions
        that are not sure of anything.
        """
        found: dict[str, dict[str, Any]] = {}
        for group, by_rule in self._sure.items():
            for rule in (r for r in rules if r in by_rule):
                counts = ConfidenceCounts.sum(by_rule[rule])
                curves = counts.reliability(), counts.risk_coverage()
                found.setdefault(group, {})[rule] = curves
        return found

    def scored(self, rules: Rules) -> dict[str, Tensor]:
        """What those rules predict that are scored."""
        return {name: rules[name]() for name in rules if name in self.rules}
