/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * render-epilogue VOCABULARY: prints a file with one function, the epilogue of a convolution with
 * requantization per channel followed by a residual addition, in the vocabulary named. */
#include "cuda_stub.h"
#include "emit/constants.h"
#include "emit/snippets.h"
#include "epilogue/epilogue.h"
#include "epilogue/say.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { channels = 40 };

static int32_t add_codes(nib_graph *g, const char *name, double scale, int64_t zero_point) {
  const int64_t dims[4] = {1, 1, 1, channels};
  const int32_t t = nib_graph_add_tensor(g, name, NIB_I8, 4, dims);
  nib_graph_set_quant(g, t, (double)(float)scale, zero_point);
  return t;
}

static int32_t add_constant(nib_graph *g, nib_format format, int32_t rank, const int64_t *dims,
                            const void *data, size_t bytes) {
  const int32_t t = nib_graph_add_tensor(g, "", format, rank, dims);
  nib_graph_set_data(g, t, data, bytes, NIB_DATA_COPY);
  return t;
}

/* conv2d 1x1 of 40 channels, then add. */
static nib_graph *make_graph(void) {
  static int8_t weights[channels * channels];
  static float scales[channels];
  nib_graph *g = nib_graph_create("render");
  if (!g)
    return NULL;
  g->rounding = "tflite-double";
  for (int i = 0; i < channels * channels; i++)
    weights[i] = (int8_t)(i * 7 % 255 - 127);
  for (int i = 0; i < channels; i++)
    scales[i] = 0.01f + 0.0003f * (float)i;
  const int64_t filter_dims[4] = {channels, 1, 1, channels}, scale_dims[1] = {channels};
  const int32_t x = add_codes(g, "x", 0.05, 3), residual = add_codes(g, "residual", 0.04, -7);
  const int32_t filter = add_constant(g, NIB_I8, 4, filter_dims, weights, sizeof weights);
  const int32_t scale = add_constant(g, NIB_F32, 1, scale_dims, scales, sizeof scales);
  const int32_t y = add_codes(g, "y", 0.12, 5), z = add_codes(g, "z", 0.15, -128);
  const int32_t conv_in[4] = {x, filter, NIB_NONE, scale}, add_in[2] = {y, residual};
  const int32_t nodes[2] = {nib_graph_add_node(g, NIB_OP_CONV2D, "conv", 0, conv_in, 4, y),
                            nib_graph_add_node(g, NIB_OP_ADD, "sum", 1, add_in, 2, z)};
  nib_graph_set_string(g, nodes[1], NIB_A_ACTIVATION, "relu");
  const int32_t inputs[2] = {x, residual};
  nib_graph_set_inputs(g, inputs, 2);
  nib_graph_set_outputs(g, &z, 1);
  nib_graph_add_kernel(g, "conv", nodes, 2);
  return g;
}

static void write_function(nib_epilogue *p, nib_emitter *e) {
  const nib_vocab *v = e->vocab;
  const bool cuda = v == &nib_vocab_cuda_stub;
  nib_text_line(e->body, "%s", v->function_attr);
  nib_text_open(e->body, "void epilogue(const int32_t *acc, const int8_t *%s in1, int8_t *%s out) {",
                cuda ? "__restrict" : "restrict", cuda ? "__restrict" : "restrict");
  const int whole = channels / v->lanes * v->lanes;
  for (int pass = 0; pass < 2; pass++) { /* full registers, then the tail */
    if (pass == 0)
      nib_text_open(e->body, "for (int32_t c = 0; c < %d; c += %d) {", whole, v->lanes);
    else if (whole < channels)
      nib_text_open(e->body, "{\n    const int32_t c = %d;", whole);
    else
      break;
    nib_epilogue_load_channels(p, "c", 1);
    nib_text_line(e->body, "%s value;", v->type_i32);
    nib_say(e, NIB_PRIM_I32_LOAD, "value", "acc + c", NULL, NULL, NULL);
    const nib_finish value = {.acc = "value", .tail = pass ? channels - whole : 0};
    nib_epilogue_apply(p, &value, 1, "c");
    nib_text_close(e->body, "");
  }
  nib_text_close(e->body, "");
}

/* Constants in CUDA's spelling: the name and the extent of each declaration stay. */
static void print_declarations(const nib_constants *constants, bool cuda) {
  nib_text t;
  nib_text_init(&t);
  nib_constants_declare(constants, &t);
  char *text = t.data ? t.data : (char *)"";
  for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
    if (cuda && strncmp(line, "extern const ", 13) == 0)
      printf("__attribute__((constant)) %s\n", line + 13);
    else
      printf("%s\n", line);
  nib_text_free(&t);
}

int main(int argc, char **argv) {
  const nib_vocab *v = argc == 2 ? nib_vocab_find(argv[1]) : NULL;
  if (argc == 2 && strcmp(argv[1], nib_vocab_cuda_stub.name) == 0)
    v = &nib_vocab_cuda_stub;
  nib_graph *g = make_graph();
  nib_constants *constants = nib_constants_create("render", NIB_WEIGHTS_WORDS);
  if (!v || !g || !constants) {
    fprintf(stderr, "usage: render-epilogue VOCABULARY\n");
    return 2;
  }
  nib_text body;
  nib_text_init(&body);
  nib_emitter e = {.graph = g, .vocab = v, .body = &body, .constants = constants};
  nib_acc_range ranges[channels];
  for (int i = 0; i < channels; i++)
    ranges[i] = (nib_acc_range){-1000000, 1000000};
  nib_epilogue p;
  int exit_status = 1;
  if (nib_epilogue_can_emit(g, &g->kernels[0], v) &&
      nib_epilogue_prepare(&p, &e, &g->kernels[0], ranges, NULL, channels, v->lanes) == NIB_OK) {
    write_function(&p, &e);
    nib_epilogue_release(&p);
    uint64_t used[4] = {0};
    nib_text snippets;
    nib_text_init(&snippets);
    nib_snippets_scan(body.data, used);
    nib_snippets_append(used, &snippets);
    printf("#include <math.h>\n#include <stdint.h>\n#include <string.h>\n%s\n", v->includes);
    print_declarations(constants, v == &nib_vocab_cuda_stub);
    printf("%s\n%s\n%s", snippets.data ? snippets.data : "", v->support, body.data);
    nib_text_free(&snippets);
    exit_status = 0;
  }
  nib_text_free(&body);
  nib_constants_destroy(constants);
  nib_graph_destroy(g);
  return exit_status;
}
