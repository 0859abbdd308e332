/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_stages_models
/* Real networks through simplify, fuse, plan and select: the reference evaluator's results stay the
 * same, kernels and arena keep their bounds. Skips with a line when the models are absent. */
#include "stage_harness.h"

#include "import/import.h"

typedef struct model_row {
  const char *path;
  int runs;             /* of the evaluator */
  int32_t most_kernels; /* -1: no bound */
} model_row;

static const model_row k_models[] = {
    {"mlperf-tiny/kws_ref_model.tflite", 3, -1},
    {"mlperf-tiny/pretrainedResnet_quant.tflite", 3, 12},
    {"mlperf-tiny/pretrainedResnet.tflite", 2, 12},
    {"mlperf-tiny/vww_96_int8.tflite", 2, -1},
    {"mlperf-tiny/ad01_int8.tflite", 5, -1},
    {"tflite-micro/person_detect.tflite", 2, -1},
    {"tflite-micro/micro_speech_quantized.tflite", 5, -1},
    {"tflite-micro/hello_world_int8.tflite", 20, -1},
    {"mobilenet/mobilenet_v1_0.25_128_quant.tflite", 1, -1},
    {"mobilenet/mobilenet_v2_1.0_224_quant.tflite", 0, -1},
};

static const char *const k_targets[] = {"c99", "x86-64-v3", "x86-64-v4+avx512vnni"};

static void check_plan(const char *name, const nib_graph *simplified, const model_row *row,
                       const char *target) {
  message_log log = {0};
  const nib_diag diag = {log_message, &log};
  nib_graph *g = nib_graph_clone(simplified);
  nib_options o = nib_options_default();
  o.target = target;
  CHECK(nib_fuse_graph(g, &o, &diag) == NIB_OK, "%s: fuse: %s", name, log.text);
  CHECK(nib_plan_graph(g, &o, &diag) == NIB_OK, "%s: plan: %s", name, log.text);
  CHECK(nib_select_graph(g, &o, &diag) == NIB_OK, "%s: select: %s", name, log.text);
  printf("%-44s %-22s %3d kernels, arena %8lld, bound %8lld, unfused %8lld\n", name, target,
         g->n_kernels, (long long)g->arena_bytes, (long long)g->lower_bound_bytes,
         (long long)g->unfused_lower_bound_bytes);
  CHECK(g->arena_bytes * 10 <= g->lower_bound_bytes * 11, "%s: arena exceeds its bound by 10%%",
        name);
  CHECK(row->most_kernels < 0 || g->n_kernels <= row->most_kernels, "%s: %d kernels", name,
        g->n_kernels);
  if (getenv("NIB_TEST_VERBOSE") != NULL) {
    char *text = nib_graph_to_text(g);
    puts(text);
    free(text);
    puts(log.text);
  }
  nib_graph_destroy(g);
}

static void check_model(const model_row *row) {
  size_t size = 0;
  char path[256];
  snprintf(path, sizeof path, "data/%s", row->path);
  uint8_t *bytes = read_shared(path, &size);
  if (bytes == NULL) {
    printf("SKIP %s: not found\n", row->path);
    return;
  }
  message_log log = {0};
  const nib_diag diag = {log_message, &log};
  const nib_import_options options = {.model_name = "m", .display_path = row->path};
  nib_graph *before = NULL;
  CHECK(nib_import_tflite(bytes, size, &options, &before, &diag) == NIB_OK, "%s: import: %s",
        row->path, log.text);
  free(bytes);
  if (before == NULL)
    return;
  nib_graph *after = nib_graph_clone(before);
  const nib_options o = nib_options_default();
  CHECK(nib_simplify_graph(after, &o, &diag) == NIB_OK, "%s: simplify: %s", row->path, log.text);
  if (row->runs > 0) {
    const double worst = compare_graphs(before, after, row->runs, &diag);
    CHECK(worst >= 0 && worst < 1e-6, "%s: simplify changed results by %g: %s", row->path, worst,
          log.text);
  }
  for (size_t i = 0; i < sizeof k_targets / sizeof k_targets[0]; ++i)
    check_plan(row->path, after, row, k_targets[i]);
  nib_graph_destroy(after);
  nib_graph_destroy(before);
}

int main(int argc, char **argv) {
  for (size_t i = 0; i < sizeof k_models / sizeof k_models[0]; ++i)
    if (argc < 2 || strstr(k_models[i].path, argv[1]) != NULL)
      check_model(&k_models[i]);
  return failures != 0;
}
