"""A config and a checkpoint become a model: the one place outside the Runner that builds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mango_mm.apis.run import load_config
from mango_mm.checkpoints import load_weights
from mango_mm.engine.console_runner import quiet_hosts
from mango_mm.models.trusted_ensemble import check_trust
from mango_mm.registry import MODELS
from mango_mm.zoo import find_model, is_model_name

__all__ = ['model_config', 'open_model']


def open_model(
    config: str | Path | Config,
    checkpoint: str | Path | None = None,
    *,
    options: Mapping[str, Any] | None = None,
    device: str = 'cpu',
    check: Callable[[Any], Any] | None = None,
) -> tuple[Config, Any]:
    """The config and its model in evaluation mode.

    Of a training algorithm it is the student that is returned.

    Args:
        config: File, a name of the model zoo, or a config already read.
        checkpoint: File, or a work dir (its newest checkpoint); it must hold every weight. None:
            those of the zoo if that has the model, else weights as initialised, without any
            pretrained file.
        options: Overrides of the config.
        device: Where the model lies.
        check: Called with the model before weights are loaded; raises if it is of no use.

    Raises:
        FileNotFoundError: If config or checkpoint do not exist.
        KeyError: If a name is not in the zoo.
        ValueError: If the checkpoint is of another model.
    """
    if checkpoint is None and is_model_name(config):
        checkpoint = find_model(str(config)).checkpoint
    read = load_config(config, options=options)
    init_default_scope(read.get('default_scope', 'mmengine'))
    given = model_config(read)
    if checkpoint is None and 'student' in given:  # its teachers are checkpoints, too
        given = {'data_preprocessor': given.get('data_preprocessor'), **given.student}
        given = {k: v for k, v in given.items() if v is not None}
    _drop_pretrained(given)
    with quiet_hosts():
        model: Any = MODELS.build(given)
    if check is not None:
        check(getattr(model, 'student', model))
    if checkpoint is None:
        model.init_weights()
    else:
        load_weights(model, checkpoint)
        check_trust(model, checkpoint)
    return read, getattr(model, 'student', model).to(device).eval()


def model_config(config: Config) -> Any:
    """A config's model with the data preprocessor at its top, as mmengine's Runner has it."""
    if config.get('data_preprocessor') is not None:
        config.model.setdefault('data_preprocessor', config.data_preprocessor)
    return config.model


def _drop_pretrained(model: Any) -> None:
    """The checkpoint holds every weight; do not look for pretrained files."""
    if isinstance(model, dict):
        kind = str(model.get('type', '')).rpartition('.')[2]
        if isinstance(model.get('pretrained'), bool) or kind == 'TIMMBackbone':
            model['pretrained'] = False  # timm's default is its hub
        elif kind != 'TransformersTextEncoder':  # of which it is the architecture, too
            model.pop('pretrained', None)
        init = model.get('init_cfg')
        if isinstance(init, dict) and init.get('type') == 'Pretrained':
            model.pop('init_cfg')
        for value in list(model.values()):
            _drop_pretrained(value)
    elif isinstance(model, (list, tuple)):
        for value in model:
            _drop_pretrained(value)
