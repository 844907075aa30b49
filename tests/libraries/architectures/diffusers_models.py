"""Denoisers, autoencoders and control nets of the diffusers library."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from architectures.architecture import Architecture, Inputs, Sizes

_TEXT = {"encoder_hidden_states": (1,)}


def _of(name: str, inputs: Callable[[int, int], Inputs], *, text: bool = False, **fields: Any) -> Architecture:
    """Return a class of diffusers; ``inputs`` maps batch and length of the text to arguments."""

    def build() -> nn.Module:
        import diffusers

        return getattr(diffusers, name)(**fields)

    def made(sizes: Sizes) -> Inputs:
        return inputs(sizes.batch, sizes.length)

    return Architecture("diffusers", name, build, made, _TEXT if text else {})


def _latent(batch: int, channels: int = 4, size: int = 16) -> torch.Tensor:
    return torch.randn(batch, channels, size, size)


def _time(batch: int) -> torch.Tensor:
    return torch.randint(0, 1000, (batch,))


def _words(batch: int, length: int, width: int = 32) -> torch.Tensor:
    return torch.randn(batch, length, width)


def _image(batch: int) -> Inputs:
    return {"sample": torch.randn(batch, 3, 32, 32)}


_DOWN, _UP = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D")
_BLOCKS = {"block_out_channels": (16, 32), "norm_num_groups": 8, "layers_per_block": 1}
_VAE = {
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "latent_channels": 4,
    **_BLOCKS,
}
_DIT = {"num_attention_heads": 2, "attention_head_dim": 16, "num_layers": 2, "sample_size": 16}


def _conditioned(batch: int, length: int) -> Inputs:
    return {"sample": _latent(batch), "timestep": _time(batch), "encoder_hidden_states": _words(batch, length)}


def _packed(batch: int, length: int) -> Inputs:
    return {
        "hidden_states": torch.randn(batch, 16, 8),
        "encoder_hidden_states": _words(batch, length),
        "pooled_projections": torch.randn(batch, 32),
        "timestep": torch.rand(batch),
        "img_ids": torch.randint(0, 4, (16, 3)).float(),
        "txt_ids": torch.zeros(length, 3),
    }


def _latent_and_words(batch: int, length: int) -> Inputs:
    return {"hidden_states": _latent(batch), "encoder_hidden_states": _words(batch, length), "timestep": _time(batch)}


def _video(batch: int, length: int) -> Inputs:
    return {
        "hidden_states": torch.randn(batch, 4, 3, 8, 8),
        "encoder_hidden_states": _words(batch, length),
        "timestep": _time(batch),
    }


def _stable(batch: int, length: int) -> Inputs:
    return _latent_and_words(batch, length) | {"pooled_projections": torch.randn(batch, 32)}


ARCHITECTURES = (
    _of(
        "UNet2DModel",
        lambda batch, _: {"sample": _latent(batch, 3), "timestep": _time(batch)},
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
        sample_size=16,
        attention_head_dim=8,
        **_BLOCKS,
    ),
    _of(
        "UNet2DConditionModel",
        _conditioned,
        text=True,
        sample_size=16,
        down_block_types=_DOWN,
        up_block_types=_UP,
        cross_attention_dim=32,
        attention_head_dim=8,
        **_BLOCKS,
    ),
    _of(
        "ControlNetModel",
        lambda batch, length: _conditioned(batch, length) | {"controlnet_cond": torch.randn(batch, 3, 128, 128)},
        text=True,
        down_block_types=_DOWN,
        cross_attention_dim=32,
        attention_head_dim=8,
        **_BLOCKS,
    ),
    _of(
        "UNet3DConditionModel",
        lambda batch, length: _conditioned(batch, length) | {"sample": torch.randn(batch, 4, 3, 16, 16)},
        text=True,
        sample_size=16,
        down_block_types=("CrossAttnDownBlock3D", "DownBlock3D"),
        up_block_types=("UpBlock3D", "CrossAttnUpBlock3D"),
        cross_attention_dim=32,
        attention_head_dim=8,
        **_BLOCKS,
    ),
    _of("UNet1DModel", lambda batch, _: {"sample": torch.randn(batch, 14, 16), "timestep": _time(batch)},
        block_out_channels=(16, 32), in_channels=14, out_channels=14, time_embedding_type="positional",
        use_timestep_embedding=True, down_block_types=("DownResnetBlock1D", "DownResnetBlock1D"),
        up_block_types=("UpResnetBlock1D",), mid_block_type="MidResTemporalBlock1D", out_block_type="OutConv1DBlock",
        act_fn="swish", layers_per_block=1, flip_sin_to_cos=True, freq_shift=1.0),
    _of("AutoencoderKL", lambda batch, _: _image(batch), **_VAE),
    _of("AutoencoderTiny", lambda batch, _: _image(batch), encoder_block_out_channels=(16, 16),
        decoder_block_out_channels=(16, 16), num_encoder_blocks=(1, 1), num_decoder_blocks=(1, 1)),
    _of("VQModel", lambda batch, _: _image(batch), num_vq_embeddings=32, **{**_VAE, "latent_channels": 3}),
    _of("AutoencoderDC", lambda batch, _: _image(batch), encoder_block_out_channels=(16, 32), latent_channels=4,
        decoder_block_out_channels=(16, 32), encoder_layers_per_block=(1, 1), decoder_layers_per_block=(1, 1),
        encoder_block_types=("ResBlock", "EfficientViTBlock"), decoder_block_types=("ResBlock", "EfficientViTBlock"),
        encoder_qkv_multiscales=((), (5,)), decoder_qkv_multiscales=((), (5,)), attention_head_dim=8),
    _of("AutoencoderKLTemporalDecoder", lambda batch, _: {**_image(batch)}, block_out_channels=(32, 32),
        down_block_types=("DownEncoderBlock2D",) * 2, latent_channels=4, layers_per_block=1),
    _of("AutoencoderOobleck", lambda batch, _: {"sample": torch.randn(batch, 2, 256)}, encoder_hidden_size=8,
        decoder_channels=8, decoder_input_channels=4, downsampling_ratios=[2, 4], channel_multiples=[1, 2]),
    _of("DiTTransformer2DModel", lambda batch, _: {"hidden_states": _latent(batch), "timestep": _time(batch),
        "class_labels": torch.randint(0, 10, (batch,))}, in_channels=4, out_channels=8, norm_num_groups=8,
        num_embeds_ada_norm=10, **_DIT),
    _of("Transformer2DModel", lambda batch, length: {"hidden_states": torch.randn(batch, 16, 8, 8),
        "encoder_hidden_states": _words(batch, length)}, text=True, in_channels=16, num_attention_heads=2,
        attention_head_dim=8, norm_num_groups=8, cross_attention_dim=32),
    _of("PixArtTransformer2DModel", _latent_and_words, text=True, in_channels=4, out_channels=8, caption_channels=32,
        cross_attention_dim=32, use_additional_conditions=False, **_DIT),
    _of("SD3Transformer2DModel", _stable, text=True, in_channels=4, out_channels=4, caption_projection_dim=32,
        joint_attention_dim=32, pooled_projection_dim=32, patch_size=2, **_DIT),
    _of("SD3ControlNetModel", lambda batch, length: _stable(batch, length) | {"controlnet_cond": _latent(batch)},
        text=True, in_channels=4, caption_projection_dim=32, joint_attention_dim=32, pooled_projection_dim=32,
        patch_size=2, **_DIT),
    _of("FluxTransformer2DModel", _packed, text=True, patch_size=1, in_channels=8, num_layers=1, num_single_layers=1,
        attention_head_dim=16, num_attention_heads=2, joint_attention_dim=32, pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8)),
    _of("AuraFlowTransformer2DModel", _latent_and_words, text=True, in_channels=4, out_channels=4, patch_size=2,
        sample_size=16, num_mmdit_layers=1, num_single_dit_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, caption_projection_dim=32, pos_embed_max_size=64),
    _of("LuminaNextDiT2DModel", lambda batch, length: {"hidden_states": _latent(batch), "timestep": torch.rand(batch),
        "encoder_hidden_states": _words(batch, length), "encoder_mask": torch.ones(batch, length),
        "image_rotary_emb": torch.randn(32, 32, 4).to(torch.float32)}, text=True, sample_size=16, hidden_size=32,
        num_layers=1, num_attention_heads=4, num_kv_heads=2, multiple_of=8, cross_attention_dim=32),
    _of("SanaTransformer2DModel", _latent_and_words, text=True, in_channels=4, out_channels=4, num_attention_heads=2,
        attention_head_dim=16, num_layers=1, num_cross_attention_heads=2, cross_attention_head_dim=16,
        cross_attention_dim=32, caption_channels=32, sample_size=16),
    _of("UVit2DModel", lambda batch, length: {"input_ids": torch.randint(0, 60, (batch, 16, 16)),
        "encoder_hidden_states": _words(batch, length), "pooled_text_emb": torch.randn(batch, 32),
        "micro_conds": torch.rand(batch, 6)}, text=True, hidden_size=32, cond_embed_dim=32, block_out_channels=32,
        in_channels=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64, codebook_size=60,
        vocab_size=64, micro_cond_encode_dim=8, micro_cond_embed_dim=48, encoder_hidden_size=32,
        num_res_blocks=1, block_num_heads=2),
    _of("WanTransformer3DModel", _video, text=True, num_attention_heads=2, attention_head_dim=16, in_channels=4,
        out_channels=4, text_dim=32, freq_dim=32, ffn_dim=64, num_layers=1),
    _of("LTXVideoTransformer3DModel", lambda batch, length: {"hidden_states": torch.randn(batch, 32, 4),
        "encoder_hidden_states": _words(batch, length), "timestep": _time(batch),
        "encoder_attention_mask": torch.ones(batch, length)}, text=True, in_channels=4, out_channels=4,
        num_attention_heads=2, attention_head_dim=16, cross_attention_dim=32, num_layers=1, caption_channels=32),
    _of("CogVideoXTransformer3DModel", lambda batch, _: {"hidden_states": torch.randn(batch, 3, 4, 8, 8),
        "encoder_hidden_states": _words(batch, 8), "timestep": _time(batch)}, num_attention_heads=2,
        attention_head_dim=16, in_channels=4, out_channels=4, time_embed_dim=8, text_embed_dim=32, num_layers=1,
        sample_width=8, sample_height=8, sample_frames=9, max_text_seq_length=8),
    _of("MochiTransformer3DModel", lambda batch, length: {"hidden_states": torch.randn(batch, 4, 2, 8, 8),
        "encoder_hidden_states": _words(batch, length), "timestep": _time(batch),
        "encoder_attention_mask": torch.ones(batch, length)}, num_attention_heads=2, attention_head_dim=16,
        num_layers=1, pooled_projection_dim=16, in_channels=4, text_embed_dim=32, time_embed_dim=8,
        max_sequence_length=32),
    _of("QwenImageTransformer2DModel", lambda batch, length: {"hidden_states": torch.randn(batch, 16, 8),
        "encoder_hidden_states": _words(batch, length), "timestep": torch.rand(batch)}, text=True, in_channels=8,
        out_channels=8, num_layers=1, attention_head_dim=16, num_attention_heads=2, joint_attention_dim=32,
        axes_dims_rope=(4, 4, 8)),
    _of("TransformerTemporalModel", lambda batch, _: {"hidden_states": torch.randn(4 * batch, 16, 8, 8)},
        num_attention_heads=2, attention_head_dim=8, in_channels=16, norm_num_groups=8),
    _of("AutoencoderKLWan", lambda batch, _: {"sample": torch.randn(batch, 3, 1, 32, 32)}, base_dim=8, z_dim=4,
        dim_mult=[1, 1, 2], num_res_blocks=1, temperal_downsample=[False, True]),
    _of("AutoencoderKLCogVideoX", lambda batch, _: {"sample": torch.randn(batch, 3, 1, 16, 16)},
        block_out_channels=(16, 16, 16, 16), down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4, latent_channels=4, layers_per_block=1, norm_num_groups=2,
        sample_height=16, sample_width=16),
    _of("HunyuanDiT2DModel", lambda batch, _: {"hidden_states": _latent(batch), "timestep": _time(batch),
        "encoder_hidden_states": _words(batch, 8), "text_embedding_mask": torch.ones(batch, 8),
        "encoder_hidden_states_t5": _words(batch, 4), "text_embedding_mask_t5": torch.ones(batch, 4),
        "image_meta_size": torch.randint(0, 16, (batch, 6)).float(), "style": torch.zeros(batch, dtype=torch.int64),
        "image_rotary_emb": torch.randn(2, 64, 16)}, num_layers=2, sample_size=16, num_attention_heads=2,
        attention_head_dim=16, in_channels=4, hidden_size=32, cross_attention_dim=32, cross_attention_dim_t5=32,
        pooled_projection_dim=16, text_len=8, text_len_t5=4, activation_fn="gelu-approximate"),
)  # fmt: skip
