"""GeminiFusion in every block of a small MiT whose weights both modalities share, generated rooms.

Run:     python tools/train.py configs/geminifusion/geminifusion-blocks_small_1xb8-600it_mini-rooms-72x96.py
Needs:   data/mini_rooms: python tools/prepare/mini_rooms.py
Ours:    pixel acc / mean acc / mIoU 91.35 / 76.48 / 67.74, one seed (0); docs/fusions.md
"""

_base_ = '../_base_/settings/blocks_small_1xb8-600it_mini-rooms-72x96.py'
model = dict(
    backbone=dict(
        fusion=dict(type='PixelwiseAttention'),
        blocks=r'layers\.\d+\.1\.\d+',
        read='norm1',
        write='attn.proj_drop',  # before the drop path and the residual sum
    )
)
