/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The graph of a Llama network, for importers that have its sizes and its weights:
 *
 *   tokens i32 [T] -> logits f32 [T, vocabulary]
 *
 * for a window of T tokens at positions 0 … T-1, causal. Everything is decomposed into general
 * operators: RMSNorm, rotary embedding of neighbouring pairs (2i, 2i+1), grouped-query attention,
 * SwiGLU. Sources: Touvron et al., LLaMA (arXiv:2302.13971); Su et al., RoFormer
 * (arXiv:2104.09864); the order of pairs is that of GGUF and of llama2.c. */
#ifndef NIB_IMPORT_LLAMA_GRAPH_H
#define NIB_IMPORT_LLAMA_GRAPH_H

#include "import/import.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Sizes of a network; nib_llama_check says whether they can be. */
typedef struct nib_llama_config {
  int64_t dim, hidden, layers, heads, kv_heads, head_dim, vocabulary, context;
  int64_t rope_dims;            /**< the first elements of a head that rotate */
  double epsilon;               /**< of RMSNorm */
  double rope_base, rope_scale; /**< the angle of pair i at p: p / scale · base^(-2i / rope_dims) */
} nib_llama_config;

/* NIB_LLAMA_WEIGHTS(ID, name, rows, columns): names of GGUF, "blk.N." before those of a layer;
 * shape [rows, columns], or [columns] where rows is 0, in members of the configuration. */
#define NIB_LLAMA_WEIGHTS(X)                                                                       \
  X(EMBEDDING, "token_embd.weight", c->vocabulary, c->dim)                                         \
  X(OUTPUT_NORM, "output_norm.weight", 0, c->dim)                                                  \
  X(OUTPUT, "output.weight", c->vocabulary, c->dim)                                                \
  X(ROPE_FACTORS, "rope_freqs.weight", 0, c->rope_dims / 2)                                        \
  X(ATTENTION_NORM, "attn_norm.weight", 0, c->dim)                                                 \
  X(Q, "attn_q.weight", c->heads * c->head_dim, c->dim)                                            \
  X(K, "attn_k.weight", c->kv_heads * c->head_dim, c->dim)                                         \
  X(V, "attn_v.weight", c->kv_heads * c->head_dim, c->dim)                                         \
  X(Q_BIAS, "attn_q.bias", 0, c->heads * c->head_dim)                                              \
  X(K_BIAS, "attn_k.bias", 0, c->kv_heads * c->head_dim)                                           \
  X(V_BIAS, "attn_v.bias", 0, c->kv_heads * c->head_dim)                                           \
  X(ATTENTION_OUTPUT, "attn_output.weight", c->dim, c->heads * c->head_dim)                        \
  X(FFN_NORM, "ffn_norm.weight", 0, c->dim)                                                        \
  X(GATE, "ffn_gate.weight", c->hidden, c->dim)                                                    \
  X(DOWN, "ffn_down.weight", c->dim, c->hidden)                                                    \
  X(UP, "ffn_up.weight", c->hidden, c->dim)

typedef enum nib_llama_role {
#define X(ID, name, rows, columns) NIB_LLAMA_##ID,
  NIB_LLAMA_WEIGHTS(X)
#undef X
      NIB_LLAMA_ROLE_COUNT
} nib_llama_role;

/** Whether the network has one for each layer, and whether it may be absent (an absent OUTPUT is
 * the embedding). */
bool nib_llama_role_is_layered(nib_llama_role role);
bool nib_llama_role_is_optional(nib_llama_role role);
/** "blk.3.attn_q.weight". */
void nib_llama_weight_name(nib_llama_role role, int64_t layer, char out_name[64]);
/** Rank (1 or 2) and dimensions. */
int32_t nib_llama_weight_shape(const nib_llama_config *c, nib_llama_role role, int64_t out_dims[2]);

/** A weight: row-major bytes of `format`, copied by the builder. `data` NULL: the file has none. */
typedef struct nib_llama_weight {
  nib_format format;
  const void *data;
} nib_llama_weight;

/** Where the builder gets weights from. `layer` is 0 for those that are not layered. */
typedef nib_llama_weight nib_llama_weights(void *file, nib_llama_role role, int64_t layer);

/** Sizes are positive, divide each other as they must, and are within the compiler's limits.
 *  INVALID_INPUT or UNSUPPORTED after one message. */
nib_status nib_llama_check(const nib_llama_config *c, const nib_import_options *options,
                           const nib_diag *diag);

/** Builds and validates the graph. `--dim seq=T` of the options chooses T (default: the least of
 * 256 and the context; never more than the context). */
nib_status nib_llama_build(const nib_llama_config *c, nib_llama_weights *weights, void *file,
                           const nib_import_options *options, nib_graph **out_graph,
                           const nib_diag *diag);

#ifdef __cplusplus
}
#endif
#endif
