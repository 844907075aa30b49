"""Makes the default configuration of any transformers model small, by the names of its fields."""

import re
from typing import Any

_WIDTH, _HEADS, _HEAD = 32, 4, 8

# The first pattern that matches a whole name gives the value of an integer field; a value that is smaller stays.
_FIELDS = (
    (r"codebook_size", 64),
    (r"(.*_)?(vocab_size|vocabulary_size)", 99),
    (r"(.*_)?(num_key_value_heads|num_kv_heads|n_kv_heads|kv_heads)", 2),
    (r".*(attention_heads|num_heads|n_heads?|n_head|num_attn_heads|_num_attention_heads)", _HEADS),
    (r"(.*_)?(head_dim|d_head|kv_channels|attention_head_dim|attention_head_size|d_kv|head_size)", _HEAD),
    (r"num_feat_extract_layers", 99),
    (r"qk_(nope|rope)_head_dim|v_head_dim|index_head_dim", _HEAD),
    (r"(q|kv|o|gate|decay|a|v|ffn)_?_?(lora_rank|low_rank_dim)", 16),
    (
        r".*(intermediate_size|intermediate_dim|ffn_dim|d_ff|mlp_dim|dim_feedforward|inner_dim|n_inner|ffn_size|"
        r"ffn_hidden_size|feedforward_dim|feed_forward_size|feed_forward_dim|feed_forward_hidden_dim)",
        48,
    ),
    (r"(num_local_experts|num_experts|n_routed_experts|moe_num_experts|num_routed_experts)", 4),
    (r"(num_experts_per_tok|num_experts_per_token|moe_topk|moe_k|top_k_experts|experts_per_token)", 2),
    (r"(n_group|topk_group)", 1),
    (r"first_k_dense_replace|num_dense_layers|moe_layer_start_index", 1),
    (
        r"(.*_)?(num_hidden_layers|num_layers|n_layers?|layers|num_decoder_layers|num_encoder_layers|num_blocks|"
        r"num_attention_layers|depth|num_hidden_blocks|n_blocks)",
        2,
    ),
    (
        r"(.*_)?(max_position_embeddings|n_positions|max_seq_len|max_sequence_length|n_ctx|max_seq_length|"
        r"max_target_positions|seq_length|context_length|max_len|max_text_len|model_max_length)",
        64,
    ),
    (r"max_source_positions", 16),
    (r"(.*_)?(image_size|img_size|input_size)", 32),
    (r"(.*_)?patch_size", 8),
    (r"num_mel_bins|feature_size|num_mels|mel_bins|n_mels", 16),
    (
        r"(.*_)?(hidden_size|d_model|n_embd|embed_dim|hidden_dim|embedding_size|dim|emb_dim|projection_dim|d_embed|"
        r"word_embed_proj_dim|embedding_dim|width|model_dim|hidden_channels|channels|d_inner|encoder_hidden_dim|"
        r"decoder_hidden_dim|output_dim|lru_width|attention_hidden_size|n_embed|pooler_hidden_size|"
        r"decoder_hidden_size|encoder_hidden_size|cross_attention_hidden_size|out_hidden_size|codevector_dim|"
        r"projection_size|proj_codevector_dim|output_hidden_size|num_features|fusion_hidden_size|emb_size|bottleneck_size|"
        r"intra_bottleneck_size|true_hidden_size|mask_feature_size|fpn_feature_size|embed_size|"
        r"moe_latent_size|ssm_dim|time_embed_dim|hidden_size_per_layer_input)",
        _WIDTH,
    ),
    (r"(mamba_)?(d_state|state_size|ssm_state_size|n_state)", 8),
    (r"mamba_headdim|mamba_head_dim|mamba_d_head", 16),
    (r"mamba_n_heads|mamba_num_heads|n_mamba_heads", 4),
    (r"(mamba_)?(n_groups)", 1),
    (r"(mamba_|mamba_)?chunk_size", 8),
    (r"(.*_)?(sliding_window|attention_window|local_attention|block_size|window_size)", 8),
    (r"(linear_)?(linear_num_key_heads|linear_num_value_heads)", 2),
    (r"linear_key_head_dim|linear_value_head_dim", _HEAD),
    (r"num_queries|num_query_tokens|num_object_queries|query_length", 6),
    (r"num_labels", 5),
    (r"max_2d_position_embeddings", 64),
    (r"num_frames|tubelet_frames", 2),
)
# What a configuration says about stages that are no longer there.
_DERIVED = ("out_features", "out_indices", "_out_features", "_out_indices", "stage_names")
_RULES = tuple((re.compile(pattern), value) for pattern, value in _FIELDS)


def shrunk(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a configuration, made small; nested configurations too."""
    small = {name: _small(name, value) for name, value in fields.items() if name not in _DERIVED}
    count = small.get("num_hidden_layers") or small.get("num_layers") or small.get("n_layer") or 2
    for name, value in fields.items():
        if isinstance(value, list) and name in ("layer_types", "layers_block_type", "mlp_layer_types", "block_types"):
            # Layers of different kinds often alternate: the first and the last differ where any do.
            small[name] = [value[0], *value[len(value) - count + 1 :]][:count]
    return small


def _small(name: str, value: Any) -> Any:
    if isinstance(value, dict):
        return shrunk(value) if "rope" not in name and "id2label" not in name and "label2id" not in name else value
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        if name.endswith(("token_id", "token_index", "_id")):
            return value if value < 0 else value % 90
        for rule, limit in _RULES:
            if rule.fullmatch(name):
                return min(value, limit)
        return value
    if isinstance(value, list) and value and all(type(item) is int for item in value):
        return _small_list(name, value)
    return value


def _small_list(name: str, value: list[int]) -> list[int]:
    if name in ("depths", "num_blocks", "layers", "encoder_layers", "num_layers_per_stage"):
        return [1] * len(value)
    if re.fullmatch(r"(.*_)?num_(attention_)?heads", name):
        return [2] * len(value)
    if re.fullmatch(r"(.*_)?(image_size|img_size|input_size)", name):
        return [32] * len(value)
    if re.fullmatch(r"(.*_)?patch_size", name) and len(value) == 2:
        return [min(item, 8) for item in value]
    if re.fullmatch(
        r"(.*_)?(hidden_sizes|embed_dims|neck_hidden_sizes|embed_dim|conv_dim|tdnn_dim|stage_out_channels|"
        r"stage_channels|decoder_channels|channels)",
        name,
    ):
        smallest = min(value)
        return [max(16, item // smallest * 16) if smallest > 16 else item for item in value]
    return value
