"""Small configurations of every family of decoders, with every option of its class that changes the computation."""

SMALL = dict(vocab_size=160, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6,
             num_key_value_heads=2, head_dim=16, max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
             initializer_range=0.3)
# Heads of hidden_size / num_attention_heads, all with keys of their own; room for the tests' longest text.
PLAIN = {key: value for key, value in SMALL.items() if key not in ("head_dim", "num_key_value_heads")} | {
    "max_position_embeddings": 96}
GPT2 = dict(vocab_size=160, n_embd=48, n_layer=3, n_head=6, n_positions=96, bos_token_id=1, eos_token_id=2,
            initializer_range=0.3)
GROUPED = PLAIN | {"num_key_value_heads": 2}
GEMMA = SMALL | {"num_hidden_layers": 4, "pad_token_id": 0}
WINDOWS = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]
FALCON = {key: value for key, value in PLAIN.items() if key != "intermediate_size"}
OPT = FALCON | {"ffn_dim": 60}
BLOOM = dict(vocab_size=160, hidden_size=48, n_layer=3, n_head=6, bos_token_id=1, eos_token_id=2, initializer_range=0.3)
MPT = dict(vocab_size=160, d_model=48, n_layers=3, n_heads=6, max_seq_len=128, initializer_range=0.3, bos_token_id=1,
           eos_token_id=2)
EXPERTS = {"num_experts": 5, "moe_intermediate_size": 24, "num_experts_per_tok": 2}
DEEPSEEK = PLAIN | {"num_key_value_heads": 6, "moe_intermediate_size": 24, "n_routed_experts": 8, "n_group": 4,
                    "topk_group": 2, "num_experts_per_tok": 3, "n_shared_experts": 2, "kv_lora_rank": 20,
                    "q_lora_rank": 28, "qk_rope_head_dim": 8, "qk_nope_head_dim": 16, "v_head_dim": 12,
                    "first_k_dense_replace": 1}


def rope(kind, **settings):
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **settings}}


YARN = rope("yarn", factor=4.0, original_max_position_embeddings=16)
LONG = rope("longrope", factor=4.0, original_max_position_embeddings=64,
            short_factor=[1.0, 1.1, 1.3, 1.6], long_factor=[1.2, 2.0, 3.0, 4.5])

# Name → (model_type, settings).
CONFIGS = {
    "llama": ("llama", SMALL),
    "llama_tied": ("llama", SMALL | {"tie_word_embeddings": True}),
    "llama_bias": ("llama", SMALL | {"attention_bias": True, "mlp_bias": True, "hidden_act": "gelu"}),
    "llama_one_kv_head": ("llama", SMALL | {"num_key_value_heads": 1}),
    "llama_every_head": ("llama", SMALL | {"num_key_value_heads": 6}),
    "llama_odd_width": ("llama", SMALL | {"head_dim": 10, "vocab_size": 157, "intermediate_size": 75}),
    "rope_linear": ("llama", SMALL | rope("linear", factor=4.0)),
    "rope_dynamic": ("llama", SMALL | rope("dynamic", factor=2.0)),
    "rope_llama3": ("llama", SMALL | rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                          original_max_position_embeddings=16)),
    "rope_yarn": ("llama", SMALL | YARN),
    "mistral": ("mistral", SMALL | {"sliding_window": 9}),
    "mistral_no_window": ("mistral", SMALL | {"sliding_window": None}),
    "ministral": ("ministral", SMALL | {"sliding_window": 9, "num_hidden_layers": 4, "layer_types": WINDOWS}),
    "mixtral": ("mixtral", SMALL | {"num_local_experts": 5, "num_experts_per_tok": 2}),
    "mixtral_window": ("mixtral", SMALL | {"num_local_experts": 4, "num_experts_per_tok": 3, "sliding_window": 9}),
    "qwen2": ("qwen2", GROUPED),
    "qwen2_window": ("qwen2", GROUPED | {"use_sliding_window": True, "sliding_window": 9, "max_window_layers": 1,
                                         "tie_word_embeddings": True}),
    "qwen2_moe": ("qwen2_moe", GROUPED | EXPERTS | {"shared_expert_intermediate_size": 40, "mlp_only_layers": [1]}),
    "qwen2_moe_normalised": ("qwen2_moe", GROUPED | EXPERTS | {
        "shared_expert_intermediate_size": 40, "norm_topk_prob": True, "decoder_sparse_step": 2, "qkv_bias": False,
        "use_sliding_window": True, "sliding_window": 9, "max_window_layers": 2}),
    "qwen3": ("qwen3", SMALL),
    "qwen3_bias_window": ("qwen3", SMALL | {"attention_bias": True, "use_sliding_window": True, "sliding_window": 9,
                                            "max_window_layers": 1}),
    "qwen3_moe": ("qwen3_moe", SMALL | EXPERTS | {"norm_topk_prob": True}),
    "gemma": ("gemma", SMALL | {"pad_token_id": 0}),
    "gemma2": ("gemma2", GEMMA | {"sliding_window": 7, "query_pre_attn_scalar": 24, "attn_logit_softcapping": 5.0,
                                  "final_logit_softcapping": 3.0}),
    "gemma2_uncapped": ("gemma2", GEMMA | {"sliding_window": 7, "attn_logit_softcapping": None,
                                           "final_logit_softcapping": None, "attention_bias": True}),
    "gemma3": ("gemma3_text", GEMMA | {"sliding_window": 7, "query_pre_attn_scalar": 24, "layer_types": WINDOWS}),
    "gemma3_capped": ("gemma3_text", GEMMA | {"sliding_window": 7, "query_pre_attn_scalar": 24, "layer_types": WINDOWS,
                                              "final_logit_softcapping": 3.0}),
    "phi": ("phi", GROUPED),
    "phi_norms": ("phi", PLAIN | {"qk_layernorm": True, "hidden_act": "gelu", "tie_word_embeddings": True}),
    "phi3": ("phi3", GROUPED | {"pad_token_id": 0}),
    "phi3_long": ("phi3", GROUPED | LONG | {"pad_token_id": 0, "max_position_embeddings": 256, "sliding_window": 11,
                                            "original_max_position_embeddings": 64}),
    "phi3_part": ("phi3", GROUPED | {"pad_token_id": 0, "partial_rotary_factor": 0.75, "tie_word_embeddings": True}),
    "gpt2": ("gpt2", GPT2),
    "gpt2_by_layer": ("gpt2", GPT2 | {"scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": False,
                                      "n_inner": 60, "activation_function": "relu", "tie_word_embeddings": False}),
    "gpt_neo": ("gpt_neo", dict(vocab_size=160, hidden_size=48, num_layers=3, num_heads=6, intermediate_size=80,
                                attention_types=[[["global", "local"], 1], [["local"], 1]], window_size=9,
                                max_position_embeddings=96, bos_token_id=1, eos_token_id=2, initializer_range=0.3)),
    "gpt_neox": ("gpt_neox", PLAIN),
    "gpt_neox_serial": ("gpt_neox", PLAIN | {"use_parallel_residual": False, "attention_bias": False,
                                             "tie_word_embeddings": True, "partial_rotary_factor": 1.0}),
    "gptj": ("gptj", GPT2 | {"rotary_dim": 4}),
    "gptj_whole": ("gptj", GPT2 | {"rotary_dim": 8, "n_inner": 60}),
    "gpt_bigcode": ("gpt_bigcode", GPT2),
    "gpt_bigcode_every_head": ("gpt_bigcode", GPT2 | {"multi_query": False, "n_inner": 60}),
    "opt": ("opt", OPT),
    "opt_350m": ("opt", OPT | {"do_layer_norm_before": False, "word_embed_proj_dim": 32}),
    "opt_plain": ("opt", OPT | {"enable_bias": False, "layer_norm_elementwise_affine": False,
                                  "tie_word_embeddings": False, "activation_function": "gelu"}),
    "olmo": ("olmo", GROUPED),
    "olmo_clipped": ("olmo", GROUPED | {"clip_qkv": 0.7, "attention_bias": True}),
    "olmo2": ("olmo2", GROUPED),
    "olmo2_bias": ("olmo2", PLAIN | {"attention_bias": True, "tie_word_embeddings": True}),
    "olmo3": ("olmo3", GROUPED | {"num_hidden_layers": 4, "sliding_window": 7}),
    "stablelm": ("stablelm", GROUPED | {"use_qkv_bias": True}),
    "stablelm_norms": ("stablelm", GROUPED | {"qk_layernorm": True, "use_parallel_residual": True}),
    "falcon": ("falcon", FALCON | {"multi_query": True}),
    "falcon_groups": ("falcon", FALCON | {"new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon_groups_one_norm": ("falcon", FALCON | {"new_decoder_architecture": True, "num_kv_heads": 3,
                                                   "num_ln_in_parallel_attn": 1, "ffn_hidden_size": 60}),
    "falcon_alibi": ("falcon", FALCON | {"alibi": True, "parallel_attn": False, "multi_query": False, "bias": True}),
    "starcoder2": ("starcoder2", GROUPED),
    "starcoder2_window": ("starcoder2", GROUPED | {"sliding_window": 9, "use_bias": False, "tie_word_embeddings": False}),
    "cohere": ("cohere", GROUPED | {"logit_scale": 0.25}),
    "cohere_norms": ("cohere", GROUPED | {"use_qk_norm": True, "attention_bias": True, "logit_scale": 0.3}),
    "cohere2": ("cohere2", GROUPED | {"num_hidden_layers": 4, "sliding_window": 7, "logit_scale": 0.25}),
    "granite": ("granite", GROUPED | {"embedding_multiplier": 3.0, "attention_multiplier": 0.2,
                                      "residual_multiplier": 0.4, "logits_scaling": 2.5}),
    "granite_bias": ("granite", GROUPED | {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}),
    "smollm3": ("smollm3", GROUPED | {"pad_token_id": 0, "num_hidden_layers": 4, "no_rope_layers": [1, 0, 1, 0]}),
    "smollm3_window": ("smollm3", GROUPED | {"pad_token_id": 0, "num_hidden_layers": 4, "no_rope_layer_interval": 2,
                                             "use_sliding_window": True, "sliding_window": 9}),
    "glm": ("glm", SMALL | {"pad_token_id": 0}),
    "glm_whole": ("glm", SMALL | {"pad_token_id": 0, "attention_bias": False, "partial_rotary_factor": 1.0}),
    "glm4": ("glm4", SMALL | {"pad_token_id": 0}),
    "ernie4_5": ("ernie4_5", SMALL),
    "ernie4_5_bias": ("ernie4_5", SMALL | {"use_bias": True, "tie_word_embeddings": False}),
    "exaone4": ("exaone4", GROUPED | {"num_hidden_layers": 4, "sliding_window": 7, "sliding_window_pattern": 4}),
    "exaone4_no_window": ("exaone4", GROUPED | {"sliding_window": None, "layer_types": 3 * ["full_attention"]}),
    "bloom": ("bloom", BLOOM),
    "bloom_normed_residual": ("bloom", BLOOM | {"apply_residual_connection_post_layernorm": True}),
    "mpt": ("mpt", MPT),
    "mpt_clipped": ("mpt", MPT | {"attn_config": {"clip_qkv": 0.7, "softmax_scale": 0.2, "alibi_bias_max": 4}}),
    "nemotron": ("nemotron", SMALL),
    "nemotron_bias": ("nemotron", SMALL | {"attention_bias": True, "mlp_bias": True, "partial_rotary_factor": 0.25}),
    "arcee": ("arcee", SMALL | {"mlp_bias": True}),
    "seed_oss": ("seed_oss", SMALL),
    "seed_oss_bias": ("seed_oss", SMALL | {"attention_out_bias": True, "mlp_bias": True, "attention_bias": False}),
    "helium": ("helium", GROUPED | {"head_dim": 8}),
    "persimmon": ("persimmon", PLAIN),
    "persimmon_no_norms": ("persimmon", PLAIN | {"qk_layernorm": False}),
    "gpt_oss": ("gpt_oss", SMALL | {"num_local_experts": 5, "num_experts_per_tok": 2, "sliding_window": 7,
                                    "num_hidden_layers": 4}),
    "deepseek_v3": ("deepseek_v3", DEEPSEEK),
    "deepseek_v3_plain": ("deepseek_v3", DEEPSEEK | YARN | {
        "q_lora_rank": None, "rope_interleave": False, "norm_topk_prob": False, "attention_bias": True,
        "rope_parameters": YARN["rope_parameters"] | {"mscale": 1.0, "mscale_all_dim": 0.7}}),
}
TINY = list(CONFIGS)


def tiny_config(name, **changes):
    from transformers import AutoConfig

    kind, settings = CONFIGS[name]
    return AutoConfig.for_model(kind, **{**settings, **changes})
