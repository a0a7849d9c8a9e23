"""The kernels under ICA: (I + g P) with P an upper-triangular softmax.

``select`` is the one place that picks a kernel; ``reference`` is the dense
definition, ``chunked`` the same in memory linear in the number of tokens.
"""

from mango_mm.flows.triangular_attention.select import KERNELS, attend, solve

__all__ = ['KERNELS', 'attend', 'solve']
