"""What older versions of torch lack: tests of it are skipped there, with the reason."""

import pytest
import torch

VERSION = tuple(int(part) for part in torch.__version__.split('+')[0].split('.')[:2])

needs_flash_on_cpu = pytest.mark.skipif(
    not hasattr(torch.ops.aten, '_scaled_dot_product_flash_attention_for_cpu'),
    reason='this torch has no fused attention for CPUs; the chunked kernel runs instead',
)
needs_fp16_on_cpu = pytest.mark.skipif(
    VERSION < (2, 4), reason='this torch has no fp16 autocast for CPUs'
)
needs_export = pytest.mark.skipif(
    VERSION < (2, 5), reason='this torch cannot export a region of autocast'
)
