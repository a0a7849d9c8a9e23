"""Registers every fusion of ``mango_mm.fusion``; a new one needs no edit here."""

from mango_mm import fusion
from mango_mm.registry import FUSIONS

__all__: list[str] = []

for _name in fusion.__all__:
    _class = getattr(fusion, _name)
    if (
        isinstance(_class, type)
        and issubclass(_class, (fusion.Fusion, fusion.BlockFusion))
        and _class not in (fusion.Fusion, fusion.BlockFusion)
    ):
        FUSIONS.register_module(name=_name, module=_class)
