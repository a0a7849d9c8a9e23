"""Text encoders of the transformers library: CLIP's, BERT, and whatever has tokens."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor

from mango_mm.hosts import require_host
from mango_mm.registry import MODELS

__all__ = ['TransformersTextEncoder']


@MODELS.register_module()
class TransformersTextEncoder(BaseModule):
    """A pretrained text transformer with its own tokenizer.

    Args:
        pretrained: A folder, or a name on the hub (``'openai/clip-vit-base-patch32'``,
            ``'bert-base-uncased'``), of model and tokenizer.
        random_init: Take the folder's configuration and tokenizer, and weights at random: for
            trying things out.
        max_length: Tokens of a text at most; None: what the tokenizer allows.
        frozen: Do not train it.
        init_cfg: The same as in mmengine.

    Raises:
        ImportError: If transformers is missing.
        OSError: If there is no such model; says that hub names need a network.
    """

    def __init__(
        self,
        pretrained: str,
        random_init: bool = False,  # noqa: FBT001, FBT002  # a config's keyword
        max_length: int | None = None,
        frozen: bool = False,  # noqa: FBT001, FBT002  # a config's keyword
        init_cfg: dict[str, Any] | None = None,
    ) -> None:
        require_host('transformers', 'TransformersTextEncoder')
        import transformers

        super().__init__(init_cfg)
        try:
            described, _ = transformers.PretrainedConfig.get_config_dict(pretrained)
            # CLIP's text half is a model of its own that the Auto classes do not know.
            clip = described.get('model_type') in ('clip', 'clip_text_model')
            kind = transformers.CLIPTextModel if clip else transformers.AutoModel
            configs = transformers.CLIPTextConfig if clip else transformers.AutoConfig
            config = configs.from_pretrained(pretrained)
            self.tokenizer = transformers.AutoTokenizer.from_pretrained(pretrained)
            if not random_init:
                self.model = kind.from_pretrained(pretrained)
            else:
                self.model = kind(config) if clip else kind.from_config(config)
        except (OSError, ValueError) as error:  # newer ones raise either
            where = (
                'folder' if Path(pretrained).exists() else 'name on the hub, which needs a network'
            )
            raise OSError(f'no text model in {pretrained} (a {where}): {error}') from error
        if self.tokenizer.pad_token is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        self.out_dim = int(config.hidden_size)
        limit = int(config.max_position_embeddings)
        self.max_length = limit if max_length is None else min(max_length, limit)
        if frozen:
            self.model.requires_grad_(False)
        self.frozen = frozen

    def forward(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, out_dim) and mask (B, N) of B texts; of an empty text all False."""
        encoded = self.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.max_length,
            return_tensors='pt',
        ).to(self.model.device)  # fmt: skip
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            output = self.model(
                input_ids=encoded['input_ids'], attention_mask=encoded['attention_mask']
            )
        there = torch.tensor([bool(text.strip()) for text in texts], device=self.model.device)
        mask = encoded['attention_mask'].bool() & there[:, None]
        return output.last_hidden_state.masked_fill(~mask[..., None], 0.0), mask

    def words(self, text: str) -> list[str]:
        """The words of a text that fit into the encoder."""
        kept = self.tokenizer(text, truncation=True, max_length=self.max_length)
        return str(self.tokenizer.decode(kept['input_ids'], skip_special_tokens=True)).split()
