/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * A tiny Llama network with made-up weights, written as GGUF and as a checkpoint of llama2.c. */
#ifndef NIB_TEST_TINY_LLAMA_H
#define NIB_TEST_TINY_LLAMA_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum {
  TINY_DIM = 8,
  TINY_HIDDEN = 12,
  TINY_LAYERS = 2,
  TINY_HEADS = 4,
  TINY_KV_HEADS = 2,
  TINY_HEAD_DIM = TINY_DIM / TINY_HEADS,
  TINY_VOCABULARY = 10,
  TINY_CONTEXT = 6,
  TINY_FILE_BYTES = 1 << 15
};

typedef struct llama_tensor {
  const char *name; /* in GGUF, with %d for the layer */
  int rows, columns, layered, norm;
} llama_tensor;

enum { TINY_TENSORS = 12 };

/* In the order of a checkpoint. rows 0: a vector. */
static const llama_tensor tiny_tensors[TINY_TENSORS] = {
    {"blk.%d.attn_norm.weight", 0, TINY_DIM, 1, 1},
    {"blk.%d.ffn_norm.weight", 0, TINY_DIM, 1, 1},
    {"output_norm.weight", 0, TINY_DIM, 0, 1},
    {"token_embd.weight", TINY_VOCABULARY, TINY_DIM, 0, 0},
    {"blk.%d.attn_q.weight", TINY_DIM, TINY_DIM, 1, 0},
    {"blk.%d.attn_k.weight", TINY_KV_HEADS *TINY_HEAD_DIM, TINY_DIM, 1, 0},
    {"blk.%d.attn_v.weight", TINY_KV_HEADS *TINY_HEAD_DIM, TINY_DIM, 1, 0},
    {"blk.%d.attn_output.weight", TINY_DIM, TINY_DIM, 1, 0},
    {"blk.%d.ffn_gate.weight", TINY_HIDDEN, TINY_DIM, 1, 0},
    {"blk.%d.ffn_down.weight", TINY_DIM, TINY_HIDDEN, 1, 0},
    {"blk.%d.ffn_up.weight", TINY_HIDDEN, TINY_DIM, 1, 0},
    {"output.weight", TINY_VOCABULARY, TINY_DIM, 0, 0},
};

/* Element `i` of a weight: of about unit size, norms around 1. */
static inline float tiny_weight(int tensor, int layer, int i) {
  uint32_t h = (uint32_t)(tensor * 131 + layer * 7919 + i * 104729 + 12345);
  h = (h ^ (h >> 16)) * UINT32_C(0x7feb352d);
  h = (h ^ (h >> 15)) * UINT32_C(0x846ca68b);
  h ^= h >> 16;
  const float unit = (float)(h >> 8) / 8388608.0f - 1.0f;
  return tiny_tensors[tensor].norm ? 1.0f + 0.25f * unit : unit;
}

static inline int tiny_elems(const llama_tensor *t) { return (t->rows ? t->rows : 1) * t->columns; }

typedef struct llama_file {
  uint8_t bytes[TINY_FILE_BYTES];
  size_t size;
} llama_file;

static inline void llama_put(llama_file *f, const void *bytes, size_t n) {
  memcpy(f->bytes + f->size, bytes, n);
  f->size += n;
}
static inline void llama_put_u32(llama_file *f, uint32_t v) { llama_put(f, &v, sizeof v); }
static inline void llama_put_u64(llama_file *f, uint64_t v) { llama_put(f, &v, sizeof v); }
static inline void llama_put_text(llama_file *f, const char *text) {
  llama_put_u64(f, strlen(text));
  llama_put(f, text, strlen(text));
}

static inline void llama_put_weights(llama_file *f, int tensor, int layer) {
  for (int i = 0; i < tiny_elems(&tiny_tensors[tensor]); ++i) {
    const float v = tiny_weight(tensor, layer, i);
    llama_put(f, &v, sizeof v);
  }
}

/* `shared`: the output's weights are the embedding. */
static inline void tiny_write_llama2c(llama_file *f, int shared) {
  f->size = 0;
  llama_put_u32(f, 0x616b3432);
  const uint32_t words[] = {1,          TINY_DIM,      TINY_HIDDEN,     TINY_LAYERS,
                            TINY_HEADS, TINY_KV_HEADS, TINY_VOCABULARY, TINY_CONTEXT};
  llama_put(f, words, sizeof words);
  f->bytes[f->size++] = (uint8_t)shared;
  memset(f->bytes + f->size, 0, 256 - f->size);
  f->size = 256;
  for (int t = 0; t < TINY_TENSORS - shared; ++t)
    for (int layer = 0; layer < (tiny_tensors[t].layered ? TINY_LAYERS : 1); ++layer)
      llama_put_weights(f, t, layer);
}

/* Where a test changes a GGUF file. */
typedef struct tiny_gguf {
  llama_file file;
  size_t first_type, first_offset, second_offset; /* of tensors */
} tiny_gguf;

static inline void llama_put_size(llama_file *f, const char *key, uint32_t value) {
  llama_put_text(f, key);
  llama_put_u32(f, 4);
  llama_put_u32(f, value);
}

/* Keys that a test leaves out: `without` is compared with each; NULL: none. */
static inline void llama_put_metadata(llama_file *f, const char *architecture,
                                      const char *without) {
  static const struct {
    const char *key;
    uint32_t value;
  } sizes[] = {
      {"llama.context_length", TINY_CONTEXT},           {"llama.embedding_length", TINY_DIM},
      {"llama.feed_forward_length", TINY_HIDDEN},       {"llama.attention.head_count", TINY_HEADS},
      {"llama.attention.head_count_kv", TINY_KV_HEADS}, {"llama.block_count", TINY_LAYERS},
      {"llama.rope.dimension_count", TINY_HEAD_DIM},
  };
  const float epsilon = 1e-5f;
  llama_put_text(f, "general.architecture");
  llama_put_u32(f, 8);
  llama_put_text(f, architecture);
  llama_put_text(f, "tokenizer.ggml.tokens"); /* an array of texts, not read */
  llama_put_u32(f, 9);
  llama_put_u32(f, 8);
  llama_put_u64(f, 2);
  llama_put_text(f, "<unk>");
  llama_put_text(f, "<s>");
  llama_put_text(f, "llama.attention.layer_norm_rms_epsilon");
  llama_put_u32(f, 6);
  llama_put(f, &epsilon, sizeof epsilon);
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; ++i)
    llama_put_size(f, without && strcmp(without, sizes[i].key) == 0 ? "other" : sizes[i].key,
                   sizes[i].value);
}

static inline void llama_put_tensor_infos(tiny_gguf *g, int shared) {
  llama_file *f = &g->file;
  uint64_t offset = 0;
  g->second_offset = g->first_offset = 0;
  for (int t = 0; t < TINY_TENSORS - shared; ++t)
    for (int layer = 0; layer < (tiny_tensors[t].layered ? TINY_LAYERS : 1); ++layer) {
      char name[64];
      const int *rows = &tiny_tensors[t].rows;
      snprintf(name, sizeof name, tiny_tensors[t].name, layer);
      llama_put_text(f, name);
      llama_put_u32(f, *rows ? 2 : 1);
      llama_put_u64(f, (uint64_t)tiny_tensors[t].columns);
      if (*rows)
        llama_put_u64(f, (uint64_t)*rows);
      if (!g->first_offset)
        g->first_type = f->size;
      llama_put_u32(f, 0);
      if (g->first_offset && !g->second_offset)
        g->second_offset = f->size;
      if (!g->first_offset)
        g->first_offset = f->size;
      llama_put_u64(f, offset);
      offset += ((uint64_t)tiny_elems(&tiny_tensors[t]) * 4 + 31) / 32 * 32;
    }
}

static inline void tiny_align(llama_file *f) {
  while (f->size % 32)
    f->bytes[f->size++] = 0;
}

static inline void tiny_write_gguf(tiny_gguf *g, int shared, const char *architecture,
                                   const char *without) {
  llama_file *f = &g->file;
  f->size = 0;
  llama_put(f, "GGUF", 4);
  llama_put_u32(f, 3);
  llama_put_u64(f, (uint64_t)(9 * TINY_LAYERS + (shared ? 2 : 3)));
  llama_put_u64(f, 10);
  llama_put_metadata(f, architecture, without);
  llama_put_tensor_infos(g, shared);
  tiny_align(f);
  for (int t = 0; t < TINY_TENSORS - shared; ++t)
    for (int layer = 0; layer < (tiny_tensors[t].layered ? TINY_LAYERS : 1); ++layer) {
      llama_put_weights(f, t, layer);
      tiny_align(f);
    }
}

#endif
