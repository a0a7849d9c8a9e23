"""Losses that no host has."""

from mango_mm.models.losses.multi_label import AsymmetricLoss, MultiLabelBCELoss

__all__ = ['AsymmetricLoss', 'MultiLabelBCELoss']
