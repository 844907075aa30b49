"""Architectures of the transformers library in small configurations, with random weights."""

from typing import Any

import torch
from torch import nn


class Outputs(nn.Module):
    """Calls a transformers model and keeps only its first output, a plain tensor."""

    def __init__(self, model: nn.Module, **options: Any) -> None:
        super().__init__()
        self.model = model
        self.options = options

    def forward(self, *args: torch.Tensor) -> torch.Tensor:
        return self.model(*args, return_dict=False, **self.options)[0]


def vit(width: int = 192, layers: int = 4, heads: int = 3, image: int = 96) -> nn.Module:
    """A vision transformer (Dosovitskiy et al.)."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
        image_size=image,
        num_labels=10,
    )
    return Outputs(ViTForImageClassification(config))


def bert(width: int = 128, layers: int = 3, heads: int = 4, vocabulary: int = 1000) -> nn.Module:
    """BERT (Devlin et al.) as an encoder."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=4 * width,
    )
    return Outputs(BertModel(config, add_pooling_layer=False))


def gpt2(width: int = 128, layers: int = 3, heads: int = 4, vocabulary: int = 1000) -> nn.Module:
    """GPT-2 (Radford et al.) with its language head."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=128,
        n_embd=width,
        n_layer=layers,
        n_head=heads,
        bos_token_id=0,
        eos_token_id=0,
    )
    return Outputs(GPT2LMHeadModel(config), use_cache=False)


def llama(
    width: int = 128, hidden: int = 352, layers: int = 3, heads: int = 8, groups: int = 2, vocabulary: int = 1000
) -> nn.Module:
    """A Llama-style decoder: RMS norm, rotary positions, grouped queries, SwiGLU."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        intermediate_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        max_position_embeddings=128,
    )
    return Outputs(LlamaForCausalLM(config), use_cache=False)
