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


def vit() -> nn.Module:
    """A vision transformer (Dosovitskiy et al.)."""
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        hidden_size=192, num_hidden_layers=4, num_attention_heads=3, intermediate_size=768, image_size=96, num_labels=10
    )
    return Outputs(ViTForImageClassification(config))


def bert() -> nn.Module:
    """BERT (Devlin et al.) as an encoder."""
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=1000, hidden_size=128, num_hidden_layers=3, num_attention_heads=4, intermediate_size=512
    )
    return Outputs(BertModel(config, add_pooling_layer=False))


def gpt2() -> nn.Module:
    """GPT-2 (Radford et al.) with its language head."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=1000, n_positions=128, n_embd=128, n_layer=3, n_head=4, bos_token_id=0, eos_token_id=0
    )
    return Outputs(GPT2LMHeadModel(config), use_cache=False)


def llama() -> nn.Module:
    """A Llama-style decoder: RMS norm, rotary positions, grouped queries, SwiGLU."""
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=1000,
        hidden_size=128,
        intermediate_size=352,
        num_hidden_layers=3,
        num_attention_heads=8,
        num_key_value_heads=2,
        max_position_embeddings=128,
    )
    return Outputs(LlamaForCausalLM(config), use_cache=False)
