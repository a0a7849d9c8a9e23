"""TokenFusion in every block of a small MiT whose weights both modalities share, NYU Depth V2 mini.

Run:     python tools/train.py configs/tokenfusion/tokenfusion-blocks_small_1xb8-20ep_nyuv2-mini-72x96.py
Needs:   $MANGO_DATA_ROOT/nyuv2: python tools/prepare/nyu_depth_v2.py --mini (default ../shared/data/nyuv2)
Ours:    pixel acc / mean acc / mIoU 51.85 ± 0.38 / 15.42 ± 0.25 / 9.51 ± 0.04, 3 seeds, 1305 iterations of an earlier version (outdated); docs/fusions.md
"""

_base_ = '../_base_/settings/blocks_small_1xb8-20ep_nyuv2-mini-72x96.py'
model = dict(
    backbone=dict(
        fusion=dict(type='TokenExchange'),
        blocks=r'layers\.(\d+)\.1\.\d+',  # one scorer per stage
        read='norm1',
        write='attn.proj_drop',  # before the residual sum
    )
)
