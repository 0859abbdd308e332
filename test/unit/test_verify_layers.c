/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_verify_layers
// REQUIRES: mlir
// What `nibc verify` compares with: layer by layer, the tensor in which a network first differs is
// named, wherever the difference goes from there; floats are judged against the result in double.
#include "verify_layers.h"

#include "import/import.h"
#include "message.h"
#include "pipeline/stages.h"
#include "schedule/schedule.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define CHECK(condition)                                                                           \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      printf("line %d: %s\n", __LINE__, #condition);                                               \
      ++failures;                                                                                  \
    }                                                                                              \
  } while (0)

static nib_graph *import(const char *name) {
  char path[512];
  snprintf(path, sizeof path, NIB_SOURCE_DIR "/test/nibc/Inputs/%s", name);
  FILE *f = fopen(path, "rb");
  static uint8_t bytes[65536];
  const size_t size = f ? fread(bytes, 1, sizeof bytes, f) : 0;
  if (f)
    fclose(f);
  nib_graph *g = NULL;
  const nib_import_options options = {.model_name = "m", .display_path = name};
  CHECK(nib_import_onnx(bytes, size, &options, &g, nibc_diag()) == NIB_OK);
  return g;
}

/* A network that computes `graph` by the reference, but for one element of one tensor. */
typedef struct tampered {
  const nib_graph *graph;
  nib_reference *reference;
  int32_t tensor; /* or NIB_NONE */
} tampered;

static void change(void *context, int32_t tensor, void *bytes) {
  const tampered *t = context;
  if (tensor == t->tensor)
    ((uint8_t *)bytes)[1] ^= 0x40;
}

static nib_status run_tampered(void *context, const void *const *inputs, void *const *outputs) {
  const tampered *t = context;
  nib_reference_observe(t->reference, change, context);
  NIB_RETURN_IF_ERROR(nib_reference_run(t->reference, inputs, nibc_diag()));
  for (int i = 0; i < t->graph->n_outputs; ++i)
    memcpy(outputs[i], nib_reference_tensor(t->reference, t->graph->outputs[i]),
           nib_tensor_bytes(&t->graph->tensors[t->graph->outputs[i]]));
  return NIB_OK;
}

/* The network as written, what it was simplified to (the oracle), and its kernels. */
typedef struct network {
  nib_graph *oracle, *fused;
  nibc_feed in;
} network;

static network open_network(const char *name) {
  network n = {import(name), import(name), {0}};
  nib_options o = nib_options_default();
  o.target = "c99";
  CHECK(nib_simplify_graph(n.oracle, &o, nibc_diag()) == NIB_OK);
  CHECK(nib_simplify_graph(n.fused, &o, nibc_diag()) == NIB_OK);
  CHECK(nib_fuse_graph(n.fused, &o, nibc_diag()) == NIB_OK);
  const nib_graph *g = n.fused;
  CHECK(nibc_feed_for_tensors(g, g->inputs, g->n_inputs, 4, NIBC_BATCH_EXTRA, &n.in) == NIB_OK);
  for (int64_t run = 0; run < 4; ++run)
    nibc_fill(&g->tensors[g->inputs[0]], run, nibc_feed_at(&n.in, 0, run));
  return n;
}

static void close_network(network *n) {
  nib_graph_destroy(n->oracle);
  nib_graph_destroy(n->fused);
  nibc_feed_free(&n->in);
}

/* Compares with the result of kernel `k` tampered with (−1: none); the verdict is in `text`. */
static nib_status judge(const network *n, int32_t k, char *text, size_t size) {
  nibc_layers l;
  tampered t = {n->fused, NULL, NIB_NONE};
  if (k >= 0)
    t.tensor = nib_kernel_output(n->fused, &n->fused->kernels[k]);
  nib_status status = nibc_layers_create(n->fused, n->oracle, &l);
  CHECK(status == NIB_OK);
  CHECK(nib_reference_create(n->fused, &t.reference, nibc_diag()) == NIB_OK);
  status = nibc_layers_compare(&l, n->oracle, &n->in, run_tampered, &t);
  CHECK(status == NIB_OK);
  status = nibc_layers_judge(&l, text, size);
  nib_reference_destroy(t.reference);
  nibc_layers_free(&l);
  return status;
}

/* Each kernel in turn is the one that goes wrong: its tensor is named, not one that follows. */
static void first_tensor_is_named(void) {
  network n = open_network("tiny.onnx");
  const int32_t n_kernels = n.fused->n_kernels;
  CHECK(n_kernels >= 5);
  for (int32_t k = -1; k < n_kernels; ++k) {
    char text[1024], words[256];
    CHECK(judge(&n, k, text, sizeof text) == (k < 0 ? NIB_OK : NIB_ERROR_MISMATCH));
    if (k < 0) {
      snprintf(words, sizeof words, "every layer agrees: the results of %d kernels", n_kernels);
    } else {
      const nib_tensor *t = &n.fused->tensors[nib_kernel_output(n.fused, &n.fused->kernels[k])];
      snprintf(words, sizeof words, "tensor '%s' (kernel %d, %s) is the first that differs: ",
               t->name, k, n.fused->kernels[k].name);
    }
    if (strncmp(text, words, strlen(words)) != 0)
      printf("kernel %d: %s\n", k, text);
    CHECK(strncmp(text, words, strlen(words)) == 0);
  }
  close_network(&n);
}

/* A transformation that changed a constant: what runs agrees with the fused graph, which does not
 * agree with the source. */
static void wrong_simplification_is_named(void) {
  network n = open_network("tiny.onnx");
  nib_graph *g = n.fused;
  int32_t k = 0;
  while (k < g->n_kernels && g->nodes[g->kernels[k].nodes[0]].op != NIB_OP_DEPTHWISE_CONV2D)
    ++k;
  CHECK(k < g->n_kernels);
  if (k < g->n_kernels) {
    const nib_node *node = &g->nodes[g->kernels[k].nodes[0]];
    nib_tensor *bias = &g->tensors[node->in[2]];
    CHECK(bias->format == NIB_I32 && bias->data != NULL);
    ((int32_t *)(uintptr_t)bias->data)[0] += 4000;
    char text[1024], words[256];
    CHECK(judge(&n, -1, text, sizeof text) == NIB_ERROR_MISMATCH);
    const nib_tensor *t = &g->tensors[nib_kernel_output(g, &g->kernels[k])];
    snprintf(words, sizeof words, "simplifying changed tensor '%s' (kernel %d, ", t->name, k);
    if (strncmp(text, words, strlen(words)) != 0)
      printf("%s\n", text);
    CHECK(strncmp(text, words, strlen(words)) == 0);
  }
  close_network(&n);
}

static int64_t differing(double got, double exact, double single) {
  const float y[] = {(float)got, 0.25f}, f[] = {(float)single, 0.25f};
  const double r[] = {exact, 0.25};
  nibc_tally t = {0};
  nibc_tally_add_exact(&t, y, r, f, 2, 0);
  return t.differing;
}

/* 1e-5 of the largest, or twice what f32 itself loses. */
static void floats_are_judged(void) {
  CHECK(differing(0.25 * (1 + 9e-6), 0.25, 0.25) == 0);
  CHECK(differing(0.25 * (1 + 2e-5), 0.25, 0.25) == 1);
  CHECK(differing(0.25 * (1 + 9e-5), 0.25, 0.25 * (1 - 5e-5)) == 0);
  CHECK(differing(0.25 * (1 + 2e-4), 0.25, 0.25 * (1 - 5e-5)) == 1);
  CHECK(differing(NAN, 0.25, NAN) == 1); // no excuse
  CHECK(differing(NAN, NAN, 0.25) == 0);
  CHECK(differing(INFINITY, 1e39, INFINITY) == 0);
  CHECK(differing(INFINITY, 1e37, INFINITY) == 1);
  // An exact result of 0: what is left of a sum that cancels.
  const float y = 1e-8f, f = -6e-9f, far = 2e-8f;
  const double r = 0;
  nibc_tally near_tally = {0}, far_tally = {0};
  nibc_tally_add_exact(&near_tally, &y, &r, &f, 1, 0);
  nibc_tally_add_exact(&far_tally, &far, &r, &f, 1, 3);
  CHECK(near_tally.differing == 0 && far_tally.differing == 1 && far_tally.first_run == 3);
  // Lucky in the first run: judged again, by the f32 reference's largest deviation.
  const float lucky = 0;
  nibc_tally two_runs = {0};
  nibc_tally_add_exact(&two_runs, &y, &r, &lucky, 1, 0);
  nibc_tally_add_exact(&two_runs, &y, &r, &f, 1, 1);
  CHECK(two_runs.differing == 1 && nibc_tallies_restart(&two_runs, 1));
  CHECK(two_runs.elems == 0 && two_runs.differing == 0);
  nibc_tally_add_exact(&two_runs, &y, &r, &lucky, 1, 0);
  nibc_tally_add_exact(&two_runs, &y, &r, &f, 1, 1);
  CHECK(two_runs.differing == 0 && two_runs.elems == 2 && !nibc_tallies_restart(&two_runs, 1));
  char text[256];
  nibc_tally_describe_distance(&near_tally, text, sizeof text);
  CHECK(strcmp(text, "largest difference 1e-08, relative 0 (f32 reference: 6e-09, 0)") == 0);
  nibc_tally_describe(&far_tally, text, sizeof text);
  CHECK(strstr(text, "first in run 3 at element 0: 1.99999999e-08 instead of 0, allowed are") !=
        NULL);
}

int main(void) {
  first_tensor_is_named();
  wrong_simplification_is_named();
  floats_are_judged();
  printf("%d failures\n", failures);
  return failures != 0;
}
