"""What small configurations say beyond the rule by names: fields that must agree with each other."""

from typing import Any

_FORECAST = {"prediction_length": 8, "context_length": 16}
_LATENT_ATTENTION = {"num_key_value_heads": 4}
_LOCAL_PATCHES = {"embed_dim": 16, "depths": [2, 2], "num_heads": [2, 2], "window_size": 4, "patch_size": 4}

# By model type.
CHANGES: dict[str, dict[str, Any]] = {
    "audio-spectrogram-transformer": {"num_mel_bins": 32, "max_length": 48},
    "autoformer": _FORECAST,
    "axk1": _LATENT_ATTENTION,
    "axk2": _LATENT_ATTENTION,
    "bailing_hybrid": _LATENT_ATTENTION,
    "codegen": {"rotary_dim": 4},
    "deepseek_v3": _LATENT_ATTENTION,
    "deepseek_v32": _LATENT_ATTENTION,
    "donut-swin": _LOCAL_PATCHES,
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "attention_layers": ["global", "local"]},
    "gptj": {"rotary_dim": 4},
    "informer": _FORECAST,
    "layoutlmv3": {"coordinate_size": 5, "shape_size": 6},
    "mamba2": {"head_dim": 16},
    "maskformer-swin": _LOCAL_PATCHES,
    "perceiver": {
        "d_latents": 32,
        "num_latents": 8,
        "num_self_attends_per_block": 2,
        "num_self_attention_heads": 4,
        "num_cross_attention_heads": 4,
    },
    "reformer": {
        "attn_layers": ["local", "lsh"],
        "axial_pos_embds_dim": [8, 24],
        "axial_pos_shape": [4, 16],
        "local_attn_chunk_length": 4,
        "lsh_attn_chunk_length": 4,
        "num_buckets": 4,
    },
    "swin": _LOCAL_PATCHES,
    "time_series_transformer": _FORECAST,
}
