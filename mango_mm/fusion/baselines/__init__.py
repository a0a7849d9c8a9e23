"""The baselines, one file each, under the contract of ``mango_mm.fusion.Fusion``."""
