/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_emit_models
// Real networks through every stage to C: compiled without a warning, run, and compared with the
// reference evaluator on the graph as imported. Skips with a line when the models are absent.
// Arguments: a model file or a part of a path below, a target.
#include "emit_harness.h"

#include "import/import.h"
#include "target/target.h"

#include <time.h>

typedef struct model_row {
  const char *path;
  int rounds; /* of four inputs */
} model_row;

static const model_row models[] = {
    {"mlperf-tiny/kws_ref_model.tflite", 1},
    {"mlperf-tiny/pretrainedResnet_quant.tflite", 1},
    {"mlperf-tiny/vww_96_int8.tflite", 1},
    {"mlperf-tiny/ad01_int8.tflite", 2},
    {"mlperf-tiny/pretrainedResnet.tflite", 1},
    {"tflite-micro/person_detect.tflite", 1},
    {"tflite-micro/micro_speech_quantized.tflite", 2},
    {"tflite-micro/hello_world_int8.tflite", 5},
    {"mobilenet/mobilenet_v1_0.25_128_quant.tflite", 1},
    {NIB_SOURCE_DIR "/examples/fashion-mnist/fashion_mnist_int8.onnx", 1},
};

static const char *const targets[] = {"c99", "x86-64-v3", "x86-64-v4+avx512vnni"};

static uint8_t *read_model(const char *path, size_t *out_size) {
  char full[512];
  const char *shared = getenv("NIB_SHARED");
  if (path[0] == '/')
    snprintf(full, sizeof full, "%s", path);
  else
    snprintf(full, sizeof full, "%s/data/%s", shared ? shared : NIB_SOURCE_DIR "/../shared", path);
  FILE *f = fopen(full, "rb");
  if (!f)
    return NULL;
  fseek(f, 0, SEEK_END);
  const long size = ftell(f);
  rewind(f);
  uint8_t *bytes = size > 0 ? malloc((size_t)size) : NULL;
  *out_size = bytes ? fread(bytes, 1, (size_t)size, f) : 0;
  fclose(f);
  return bytes;
}

/* The stages after import. */
static nib_status compile(nib_graph *g, const nib_options *o) {
  NIB_RETURN_IF_ERROR(nib_simplify_graph(g, o, &harness_diag));
  NIB_RETURN_IF_ERROR(nib_fuse_graph(g, o, &harness_diag));
  NIB_RETURN_IF_ERROR(nib_plan_graph(g, o, &harness_diag));
  NIB_RETURN_IF_ERROR(nib_select_graph(g, o, &harness_diag));
  return nib_emit_graph(g, o, &harness_diag);
}

/* The imported graph is the oracle; the plan that runs belongs to its compiled clone. */
static void run_target(const model_row *row, const nib_graph *imported, const char *spec) {
  nib_target target;
  if (nib_target_parse(spec, &target, &harness_diag) != NIB_OK || !nib_target_runs_here(&target)) {
    printf("SKIP %s for %s: this processor cannot run it\n", row->path, spec);
    return;
  }
  char dir[64];
  make_folder(dir);
  nib_graph *g = nib_graph_clone(imported);
  nib_options o = emit_options(dir);
  o.target = spec;
  o.check_c = true;
  harness_message[0] = 0;
  const nib_status status = compile(g, &o);
  if (status != NIB_OK) {
    printf("%s for %s: %s\n", row->path, spec, harness_message);
    ++harness_failures;
  } else {
    suite s = {.g = (nib_graph *)imported, .rng = 7};
    void *library = load_models(dir, "-O2");
    model_run *run = find_run(library, g->name);
    s.g->arena_bytes = g->arena_bytes;
    const clock_t start = clock();
    if (run)
      printf("%-44s %-22s %3d kernels, %d outputs compared", row->path, spec, g->n_kernels,
             compare_with_reference(&s, run, row->rounds));
    printf(", %.1f s\n", (double)(clock() - start) / CLOCKS_PER_SEC);
  }
  nib_graph_destroy(g);
  if (!getenv("NIB_TEST_KEEP"))
    remove_folder(dir);
  else
    printf("%s\n", dir);
}

static void run_model(const model_row *row, const char *only_target) {
  size_t size = 0;
  uint8_t *bytes = read_model(row->path, &size);
  if (!bytes) {
    printf("SKIP %s: not found\n", row->path);
    return;
  }
  const nib_import_options options = {.model_name = "model", .display_path = row->path};
  nib_graph *g = NULL;
  const bool onnx = strstr(row->path, ".onnx") != NULL;
  if ((onnx ? nib_import_onnx : nib_import_tflite)(bytes, size, &options, &g, &harness_diag) !=
      NIB_OK) {
    printf("%s: import: %s\n", row->path, harness_message);
    ++harness_failures;
  }
  for (size_t i = 0; g && i < sizeof targets / sizeof *targets; ++i)
    if (!only_target || strcmp(only_target, targets[i]) == 0)
      run_target(row, g, targets[i]);
  nib_graph_destroy(g);
  free(bytes);
}

int main(int argc, char **argv) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  if (argc > 1 && access(argv[1], R_OK) == 0) {
    const model_row row = {argv[1], 1};
    run_model(&row, argc > 2 ? argv[2] : NULL);
    printf("%d failures\n", harness_failures);
    return harness_failures != 0;
  }
  for (size_t i = 0; i < sizeof models / sizeof *models; ++i)
    if (argc < 2 || strstr(models[i].path, argv[1]))
      run_model(&models[i], argc > 2 ? argv[2] : NULL);
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}
