"""What is done to the sensors of a model, and what its alarm says to it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from mango_mm.evaluation.functional.detection import auroc, fpr_at_95
from mango_mm.evaluation.functional.failures import Failure
from mango_mm.explicit.sensor_states import state_names
from mango_mm.explicit.trust import TrustOutput

__all__ = ['ABSENT', 'CLEAN', 'KINDS', 'PREDICTION', 'TRUST', 'Alarms', 'Condition', 'chosen_kinds']

CLEAN = 'clean'
KINDS = 'kinds'  # of mango_mm/datasets/degradations.py, beside the protocols
ABSENT = 'absent'  # a modality is not there, and the sample says so
TRUST, PREDICTION = 'trust', 'prediction'


@dataclasses.dataclass(frozen=True)
class Condition:
    """What is done to the sensors.

    Attributes:
        name: For tables.
        protocol: ``'clean'``, ``'kinds'`` or one of the protocols.
        broken: Modalities that fail.
        severity: Of a kind.
        failure: Of a protocol.
        seen: Whether one frame can show which it is.
    """

    name: str
    protocol: str
    broken: tuple[str, ...] = ()
    severity: int = 0
    failure: Failure | None = None
    seen: bool = True

    def line(self, rule: str) -> dict[str, Any]:
        """What a result of a rule begins with: all of it but the failure, which is no JSON."""
        found = dataclasses.asdict(self) | {'rule': rule}
        del found['failure']
        return found


def chosen_kinds(
    kinds: Sequence[str] | None, known: Mapping[str, Any], severities: Sequence[int]
) -> Iterator[tuple[str, int]]:
    """Name and severity of every kind asked for.

    Args:
        kinds: ``'NAME'``, of every severity, or ``'NAME:SEVERITY'``; None: all that are known.
        known: By name.
        severities: Of those that name none.

    Raises:
        ValueError: If one is unknown.
    """
    for kind in known if kinds is None else kinds:
        name, _, severity = kind.partition(':')
        if name not in known:
            raise ValueError(f'degradations are {sorted(known)}; got {kind!r}.')
        for s in (int(severity),) if severity else severities:
            yield name, s


class Alarms:
    """What a trust says of samples under a condition; the clean ones must come first.

    Args:
        modalities: Of the model.
    """

    def __init__(self, modalities: Sequence[str]) -> None:
        self.modalities = tuple(modalities)
        self._clean: list[float] = []

    def __call__(self, condition: Condition, trusts: Sequence[TrustOutput]) -> dict[str, Any]:
        """Share of alarms, mean trust and states by name; but for clean ones AUROC and FPR95."""
        scores = torch.cat([t.score for t in trusts]).tolist()
        if condition.protocol == CLEAN:
            self._clean = scores
        states = torch.cat([t.states for t in trusts]).mean(dim=0)
        found: dict[str, Any] = {
            'alarms': float(torch.cat([t.alarm for t in trusts]).float().mean()),
            'trust': dict(
                zip(self.modalities, torch.cat([t.trust for t in trusts]).mean(dim=0).tolist())
            ),
            'states': dict(zip(state_names(self.modalities), states.tolist())),
        }
        if condition.protocol != CLEAN and self._clean:
            finite = list(np.nan_to_num(scores, posinf=1e9))
            found['auroc'] = auroc(self._clean, finite)
            found['fpr95'] = fpr_at_95(self._clean, finite)
        return found
