/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Names of kernels: short C identifiers out of the names that the source gave its operators. */
#include "fuse/fuse.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 28 };

/* Components that say what an operator does rather than which one it is; compared without case. */
static const char *const k_generic[] = {
    "biasadd",
    "relu",
    "relu6",
    "conv2d",
    "conv",
    "matmul",
    "add",
    "addv2",
    "mul",
    "depthwise",
    "separable",
    "fusedbatchnormv3",
    "fusedbatchnorm",
    "batchnorm",
    "batchnormalization",
    "readvariableop",
    "output",
    "model",
    "sequential",
    "fakequantwithminmaxvars",
    "act_quant",
    "quantize",
    "dequantize",
    "identity",
    "identity_int8",
    "statefulpartitionedcall",
    "gemm",
    "dense",
};

static bool is_generic(const char *name, size_t n) {
  for (size_t i = 0; i < sizeof k_generic / sizeof k_generic[0]; ++i) {
    if (strlen(k_generic[i]) != n)
      continue;
    size_t k = 0;
    while (k < n && tolower((unsigned char)name[k]) == k_generic[i][k])
      ++k;
    if (k == n)
      return true;
  }
  return false;
}

/* The last component of the first ';' alternative that is not generic, or nothing. */
static size_t pick_component(const char *path, const char **out_start) {
  size_t end = strcspn(path, ";");
  while (end > 0) {
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
      --start;
    if (end > start && !is_generic(path + start, end - start)) {
      *out_start = path + start;
      return end - start;
    }
    end = start > 0 ? start - 1 : 0;
  }
  *out_start = NULL;
  return 0;
}

static bool is_taken(const nib_graph *g, const char *name) {
  for (int32_t i = 0; i < g->n_kernels; ++i)
    if (strcmp(g->kernels[i].name, name) == 0)
      return true;
  return false;
}

/* Alphanumerics kept, runs of anything else become one '_'; never starts with a digit. */
static void sanitise(const char *from, size_t n, char *to, size_t capacity) {
  size_t k = 0;
  for (size_t i = 0; i < n && k + 1 < capacity; ++i) {
    const unsigned char c = (unsigned char)from[i];
    if (c < 128 && isalnum(c)) {
      if (k == 0 && isdigit(c))
        to[k++] = 'k';
      if (k + 1 < capacity)
        to[k++] = (char)tolower(c);
    } else if (k > 0 && to[k - 1] != '_') {
      to[k++] = '_';
    }
  }
  while (k > 0 && to[k - 1] == '_')
    --k;
  to[k] = '\0';
}

const char *nib_fuse_make_name(nib_graph *g, int32_t node) {
  const nib_node *n = &g->nodes[node];
  const char *mnemonic = nib_op_get(n->op)->mnemonic;
  char base[MAX_NAME], name[MAX_NAME + 16];
  const char *start = NULL;
  const size_t length = pick_component(n->name, &start);
  sanitise(start != NULL ? start : mnemonic, start != NULL ? length : strlen(mnemonic), base,
           sizeof base);
  if (base[0] == '\0')
    sanitise(mnemonic, strlen(mnemonic), base, sizeof base);
  snprintf(name, sizeof name, "%s", base);
  for (int k = 2; is_taken(g, name); ++k)
    snprintf(name, sizeof name, "%s_%d", base, k);
  return nib_graph_strdup(g, name);
}
