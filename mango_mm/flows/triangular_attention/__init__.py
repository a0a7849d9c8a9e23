"""The kernels under ICA: I + g P, with P a triangular softmax, and its inverse.

``reference`` is the definition, dense; ``chunked`` the same in memory linear in the
number of tokens; ``fused`` the same by the flash kernels listed in ``flash``, once
``probe`` trusts them. ``substitution`` and ``sweep`` are the two inverses, ``products`` the
one for runtimes that cannot solve. ``select`` is the one place that picks.
"""

from mango_mm.flows.triangular_attention.select import KERNELS, mix, solve

__all__ = ['KERNELS', 'mix', 'solve']
