/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_plan_networks
/* A table of the arenas of all shared networks, for three targets: none exceeds by more than 2 %
 * what is proven of every order and all offsets, and the same network gets the same plan. */
#include "stage_harness.h"

#include "import/import.h"

#include <dirent.h>

static const char *const k_models[] = {
    "mlperf-tiny/kws_ref_model.tflite",
    "mlperf-tiny/kws_ref_model_float32.tflite",
    "mlperf-tiny/pretrainedResnet_quant.tflite",
    "mlperf-tiny/pretrainedResnet.tflite",
    "mlperf-tiny/vww_96_int8.tflite",
    "mlperf-tiny/vww_96_float.tflite",
    "mlperf-tiny/ad01_int8.tflite",
    "mlperf-tiny/ad01_fp32.tflite",
    "tflite-micro/person_detect.tflite",
    "tflite-micro/micro_speech_quantized.tflite",
    "tflite-micro/hello_world_int8.tflite",
    "tflite-micro/hello_world_float.tflite",
    "mobilenet/mobilenet_v1_0.25_128_quant.tflite",
    "mobilenet/mobilenet_v2_1.0_224_quant.tflite",
    "qonnx/mnist-conv/model.onnx",
    "qonnx/TFC_1W1A.onnx",
    "qonnx/TFC_2W2A.onnx",
    "qonnx/floatquant_exec/qonnx_act_weight_fp8.onnx",
    "tinystories-260k/stories260K.gguf",
    "tinystories-260k/checkpoint_v1.bin",
};

static const char *const k_targets[] = {"c99", "x86-64-v3", "x86-64-v4+avx512vnni"};

static bool ends_with(const char *s, const char *end) {
  const size_t n = strlen(s), m = strlen(end);
  return n >= m && strcmp(s + n - m, end) == 0;
}

static nib_graph *import(const char *path, const nib_diag *diag) {
  char full[512];
  size_t size = 0;
  snprintf(full, sizeof full, "data/%s", path);
  uint8_t *bytes = read_shared(full, &size);
  if (bytes == NULL)
    return NULL;
  const nib_import_options o = {.model_name = "m", .display_path = path};
  nib_graph *g = NULL;
  const nib_status status =
      ends_with(path, ".tflite") ? nib_import_tflite(bytes, size, &o, &g, diag)
      : ends_with(path, ".onnx") ? nib_import_onnx(bytes, size, &o, &g, diag)
      : ends_with(path, ".gguf") ? nib_import_gguf(bytes, size, &o, &g, diag)
                                 : nib_import_llama2c(bytes, size, &o, &g, diag);
  CHECK(status == NIB_OK, "%s: import", path);
  free(bytes);
  return g;
}

static nib_graph *plan(const nib_graph *simplified, const char *target, const nib_diag *diag) {
  nib_graph *g = nib_graph_clone(simplified);
  nib_options o = nib_options_default();
  o.target = target;
  CHECK(nib_fuse_graph(g, &o, diag) == NIB_OK && nib_plan_graph(g, &o, diag) == NIB_OK, "plan");
  return g;
}

static void check_same_plan(const nib_graph *a, const nib_graph *b) {
  bool same = a->n_tensors == b->n_tensors && a->n_kernels == b->n_kernels;
  for (int32_t i = 0; same && i < a->n_tensors; ++i)
    same = a->tensors[i].arena_offset == b->tensors[i].arena_offset;
  for (int32_t i = 0; same && i < a->n_kernels; ++i)
    same = strcmp(a->kernels[i].name, b->kernels[i].name) == 0 &&
           a->kernels[i].scratch_offset == b->kernels[i].scratch_offset;
  CHECK(same, "another plan for the same network");
}

/* Returns 1 for a network that was there. */
static int check_network(const char *path, bool print) {
  message_log log = {0};
  const nib_diag diag = {log_message, &log};
  const nib_options o = nib_options_default();
  nib_graph *g = import(path, &diag);
  if (g == NULL)
    return 0;
  CHECK(nib_simplify_graph(g, &o, &diag) == NIB_OK, "%s: %s", path, log.text);
  for (size_t i = 0; i < sizeof k_targets / sizeof *k_targets; ++i) {
    nib_graph *p = plan(g, k_targets[i], &diag), *again = plan(g, k_targets[i], &diag);
    const long long bytes = p->arena_bytes, proven = p->proven_bound_bytes;
    if (print)
      printf("%-48s %-20s %4d kernels %8lld bytes, proven %8lld%s\n", path, k_targets[i],
             p->n_kernels, bytes, proven, bytes == proven ? ": optimal" : "");
    CHECK(proven >= 0 && proven <= bytes && bytes * 100 <= proven * 102,
          "%s for %s: %lld bytes, proven %lld: %s", path, k_targets[i], bytes, proven, log.text);
    check_same_plan(p, again);
    nib_graph_destroy(p);
    nib_graph_destroy(again);
  }
  nib_graph_destroy(g);
  return 1;
}

/* Small networks of one operator each, and folders of them. */
static int check_folder(const char *folder) {
  const char *root = getenv("NIB_SHARED");
  char path[600];
  int n = 0;
  if (strlen(folder) > 256)
    return 0;
  snprintf(path, sizeof path, "%s/data/%s", root != NULL ? root : "../shared", folder);
  DIR *dir = opendir(path);
  if (dir == NULL)
    return 0;
  for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
    snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
    if (ends_with(e->d_name, ".tflite"))
      n += check_network(path, false);
    else if (strchr(e->d_name, '.') == NULL)
      n += check_folder(path);
  }
  closedir(dir);
  return n;
}

int main(void) {
  int n = 0;
  for (size_t i = 0; i < sizeof k_models / sizeof *k_models; ++i)
    n += check_network(k_models[i], true);
  n += check_folder("seanet");
  printf(n > 0 ? "%d networks\n" : "SKIP: %d shared networks found\n", n);
  return failures != 0;
}
