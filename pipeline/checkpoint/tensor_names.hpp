#pragma once
#include <string>

namespace cmc::checkpoint {

// How the queries, keys and values of one stored tensor lie in its rows.
enum class JoinedHeads {
  blocks,  // all queries, all keys, all values
  groups,  // for each key head: the queries that read it, the key, the value
};

// A checkpoint's names of its tensors, without ".weight" and ".bias". Empty: the model has no such part. The defaults
// are Llama's, which most later families keep.
struct TensorNames {
  std::string base = "model.";  // what checkpoints of the bare model leave out
  std::string embedding = "model.embed_tokens", positions, embedding_norm, project_in, project_out;
  std::string layers = "model.layers.";  // followed by the layer's number, a dot and one of:
  std::string attention_norm = "input_layernorm";
  std::string query = "self_attn.q_proj", key = "self_attn.k_proj", value = "self_attn.v_proj";
  std::string joined;  // in place of the three
  JoinedHeads joined_heads = JoinedHeads::blocks;
  std::string query_norm = "self_attn.q_norm", key_norm = "self_attn.k_norm";
  std::string head_of_norm;  // between these and a head's number, where each head's norm is a tensor of its own
  std::string sinks = "self_attn.sinks";  // without suffix
  std::string attention_output = "self_attn.o_proj";
  std::string after_attention_norm;
  std::string mlp_norm = "post_attention_layernorm";
  std::string gate = "mlp.gate_proj", up = "mlp.up_proj", down = "mlp.down_proj";
  std::string gate_up;  // in place of gate and up: rows of the gate, then of the other
  std::string after_mlp_norm;
  // Latent attention.
  std::string query_down = "self_attn.q_a_proj", query_down_norm = "self_attn.q_a_layernorm",
              query_up = "self_attn.q_b_proj";
  std::string key_down = "self_attn.kv_a_proj_with_mqa", key_down_norm = "self_attn.kv_a_layernorm",
              key_up = "self_attn.kv_b_proj";
  // Experts: `expert` is followed by the expert's number, a dot and one of the three names after it.
  std::string router = "mlp.gate", router_correction, expert = "mlp.experts.", expert_gate = "gate_proj",
              expert_up = "up_proj", expert_down = "down_proj";
  // Or all experts in one tensor [experts, inputs, outputs], the gate's and the other's outputs taking turns.
  std::string stacked_gate_up, stacked_down;
  std::string shared_expert, shared_expert_gate;  // the former followed by a dot and one of expert_gate, …
  std::string final_norm = "model.norm", output = "lm_head";
  bool transposed = false;  // matrices of layers are stored [inputs, outputs] (GPT-2)
};

}  // namespace cmc::checkpoint
