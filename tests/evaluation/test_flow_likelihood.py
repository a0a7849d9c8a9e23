"""FlowLikelihood through mmengine's evaluator."""

import math

import pytest
from mmengine.evaluator import Evaluator

from mango_mm.evaluation.metrics import FlowLikelihood


def evaluate(samples):
    evaluator = Evaluator([FlowLikelihood()])
    for sample in samples:
        evaluator.process(data_samples=[sample])
    return evaluator.evaluate(len(samples))


def test_it_is_the_mean_in_nats_and_in_bits():
    got = evaluate([{'nll_per_dim': 1.0}, {'nll_per_dim': 2.0}])
    assert got == pytest.approx({'nll_per_dim': 1.5, 'bits_per_dim': 1.5 / math.log(2)})


def test_a_model_without_a_flow_has_none():
    assert evaluate([{}, {}]) == {}
