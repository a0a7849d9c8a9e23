# From scratch, for a CPU; the checkpoint is the one with the smallest error on val.
_base_ = './movies_600it.py'
default_hooks = dict(checkpoint=dict(save_best='mae', rule='less'))
