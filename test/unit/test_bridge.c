/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_bridge
/* A graph goes to the IR, to text, back to the IR and to a graph, and nothing is lost. */
#include "import/import.h"
#include "mlir-c/Diagnostics.h"
#include "mlir-c/IR.h"
#include "passes/bridge/bridge.h"
#include "passes/pipeline/stages.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void check(bool ok, const char *what) {
  if (!ok) {
    fprintf(stderr, "FAILED: %s\n", what);
    ++failures;
  }
}

typedef struct string_buffer {
  char *data;
  size_t size;
} string_buffer;

static void append(MlirStringRef text, void *user) {
  string_buffer *b = user;
  char *grown = realloc(b->data, b->size + text.length + 1);
  if (!grown)
    abort();
  memcpy(grown + b->size, text.data, text.length);
  b->data = grown;
  b->size += text.length;
  b->data[b->size] = '\0';
}

static MlirContext new_context(void) {
  MlirDialectRegistry registry = mlirDialectRegistryCreate();
  nibRegisterEverything(registry);
  MlirContext context = mlirContextCreateWithRegistry(registry, false);
  mlirContextLoadAllAvailableDialects(context);
  mlirDialectRegistryDestroy(registry);
  return context;
}

static string_buffer print_module(MlirModule module) {
  string_buffer text = {NULL, 0};
  MlirOpPrintingFlags flags = mlirOpPrintingFlagsCreate();
  mlirOpPrintingFlagsEnableDebugInfo(flags, true, false);
  mlirOperationPrintWithFlags(mlirModuleGetOperation(module), flags, append, &text);
  mlirOpPrintingFlagsDestroy(flags);
  return text;
}

/* `graph` through the IR and its text, in two contexts. Returns the text of the graph that came
 * back, for free(), or NULL. */
static char *round_trip(const nib_graph *graph, const char *what) {
  MlirContext first = new_context();
  MlirModule module = nibModuleFromGraph(first, graph);
  check(!mlirModuleIsNull(module), what);
  if (mlirModuleIsNull(module)) {
    mlirContextDestroy(first);
    return NULL;
  }
  string_buffer text = print_module(module);
  nib_graph *direct = nibGraphFromModule(module);
  check(direct != NULL, what);
  char *direct_text = direct ? nib_graph_to_text(direct) : NULL;

  /* Written again, unchanged constants keep their attributes: the text is the same. */
  MlirModule rebuilt = direct ? nibModuleFromGraph(first, direct) : (MlirModule){NULL};
  check(!mlirModuleIsNull(rebuilt), what);
  if (!mlirModuleIsNull(rebuilt)) {
    string_buffer rebuilt_text = print_module(rebuilt);
    check(!strcmp(text.data, rebuilt_text.data), "the text of the graph read is the text written");
    free(rebuilt_text.data);
    mlirModuleDestroy(rebuilt);
  }

  MlirContext second = new_context();
  MlirModule parsed = mlirModuleCreateParse(second, mlirStringRefCreate(text.data, text.size));
  check(!mlirModuleIsNull(parsed), "the text parses");
  nib_graph *again = mlirModuleIsNull(parsed) ? NULL : nibGraphFromModule(parsed);
  char *again_text = again ? nib_graph_to_text(again) : NULL;
  check(direct_text && again_text && !strcmp(direct_text, again_text), what);
  if (direct_text && again_text && strcmp(direct_text, again_text))
    fprintf(stderr, "--- written\n%s--- read\n%s", direct_text, again_text);
  free(direct_text);
  nib_graph_destroy(direct);
  nib_graph_destroy(again);
  if (!mlirModuleIsNull(parsed))
    mlirModuleDestroy(parsed);
  mlirContextDestroy(second);
  mlirModuleDestroy(module);
  mlirContextDestroy(first);
  free(text.data);
  return again_text;
}

static int32_t constant(nib_graph *g, const char *name, nib_format format, int32_t rank,
                        const int64_t *dims) {
  int32_t id = nib_graph_add_tensor(g, name, format, rank, dims);
  size_t bytes = nib_tensor_bytes(&g->tensors[id]);
  unsigned char *data = calloc(1, bytes);
  for (size_t i = 0; i < bytes; ++i)
    data[i] = format == NIB_F32 ? (i % 4 == 3 ? 0x3f : 1) : (unsigned char)(i * 7);
  check(nib_graph_set_data(g, id, data, bytes, NIB_DATA_COPY) == NIB_OK, "constant data");
  free(data);
  return id;
}

/* Two convolutions, a view, odd names, every kind of attribute and all that planning leaves. */
static nib_graph *build_graph(void) {
  nib_graph *g = nib_graph_create("net");
  int32_t x = nib_graph_add_tensor(g, "in\"put", NIB_I8, 4, (int64_t[]){1, 4, 4, 8});
  nib_graph_set_quant(g, x, (double)0.0123456789f, -128);
  int32_t w = constant(g, "a/w", NIB_I8, 4, (int64_t[]){8, 1, 1, 8});
  int32_t b = constant(g, "a/b", NIB_I32, 1, (int64_t[]){8});
  int32_t s = constant(g, "", NIB_F32, 1, (int64_t[]){8});
  int32_t y = nib_graph_add_tensor(g, "#1", NIB_I8, 4, (int64_t[]){1, 4, 4, 8});
  nib_graph_set_quant(g, y, (double)0.1f, 3);
  int32_t conv = nib_graph_add_node(g, NIB_OP_CONV2D, "conv;a/b", 7, (int32_t[]){x, w, b, s}, 4, y);
  nib_graph_set_ints(g, conv, NIB_A_STRIDES, (int64_t[]){1, 1}, 2);
  nib_graph_set_string(g, conv, NIB_A_ACTIVATION, "relu6");
  nib_graph_set_int(g, conv, NIB_A_GROUPS, 1);
  int32_t z = nib_graph_add_tensor(g, "z", NIB_I8, 4, (int64_t[]){1, 4, 4, 8});
  nib_graph_set_quant(g, z, (double)0.1f, 3);
  int32_t plain = nib_graph_add_node(g, NIB_OP_CONV2D, "", 0, (int32_t[]){y, w, NIB_NONE, s}, 4, z);
  int32_t v = nib_graph_add_tensor(g, "view", NIB_I8, 2, (int64_t[]){1, 128});
  nib_graph_set_quant(g, v, (double)0.1f, 3);
  nib_graph_add_node(g, NIB_OP_RESHAPE, "#", -1, (int32_t[]){z}, 1, v);
  int32_t p = nib_graph_add_tensor(g, "soft", NIB_I8, 2, (int64_t[]){1, 128});
  nib_graph_set_quant(g, p, 0.00390625, -128);
  int32_t soft = nib_graph_add_node(g, NIB_OP_SOFTMAX, "soft", 9, (int32_t[]){v}, 1, p);
  nib_graph_set_float(g, soft, NIB_A_BETA, 0.1);
  nib_graph_set_inputs(g, &x, 1);
  nib_graph_set_outputs(g, (int32_t[]){p, y}, 2);

  int32_t first = nib_graph_add_kernel(g, "first", (int32_t[]){conv}, 1);
  int32_t second = nib_graph_add_kernel(g, "second", (int32_t[]){plain}, 1);
  nib_graph_add_kernel(g, "third", (int32_t[]){soft}, 1);
  g->kernels[first].schedule = "conv";
  g->kernels[first].vocab = "c99";
  g->kernels[first].tile[0] = 4;
  g->kernels[first].tile[3] = -1;
  g->kernels[second].scratch_bytes = 640;
  g->kernels[second].scratch_offset = 128;
  g->kernels[second].predicted_ns = 12.5;
  g->tensors[z].arena_offset = 64;
  g->tensors[x].arena_offset = 0;
  g->tensors[v].alias_of = z;
  g->tensors[v].arena_offset = 64;
  g->arena_bytes = 1024;
  g->lower_bound_bytes = 1000;
  g->unfused_lower_bound_bytes = 1001;
  return g;
}

static void test_planned_graph(void) {
  nib_graph *g = build_graph();
  char *text = round_trip(g, "a planned graph");
  static const char *const expected[] = {"graph net rounding",
                                         "arena 1024 lower bound 1000 unfused 1001",
                                         "\"in\"put\": 1x4x4x8xi8",
                                         "scale 0.012345679104328156 zp -128",
                                         "\"#1\"",
                                         "// 7 \"conv;a/b\"",
                                         "activation=relu6",
                                         "groups=1",
                                         "// 0 \"\"",
                                         "beta=0.10000000000000001",
                                         "schedule=conv vocab=c99 tile=[4,0,0,-1,0]",
                                         "scratch=640@128",
                                         "alias %",
                                         " at 64",
                                         "// -1 \"#\""};
  for (size_t i = 0; text && i < sizeof expected / sizeof *expected; ++i)
    check(strstr(text, expected[i]) != NULL, expected[i]);
  if (failures && text)
    fputs(text, stderr);
  free(text);
  nib_graph_destroy(g);
}

/* What the IR cannot say is refused with a message, not written wrong. */
static void count_error(MlirStringRef text, void *user) {
  (void)text;
  ++*(int *)user;
}

static MlirLogicalResult on_diagnostic(MlirDiagnostic diagnostic, void *user) {
  mlirDiagnosticPrint(diagnostic, count_error, user);
  return mlirLogicalResultSuccess();
}

static void test_refused(void) {
  int messages = 0;
  MlirContext context = new_context();
  mlirContextAttachDiagnosticHandler(context, on_diagnostic, &messages, NULL);

  nib_graph *g = build_graph();
  g->tensors[g->inputs[0]].scale = 0;
  check(mlirModuleIsNull(nibModuleFromGraph(context, g)) && messages > 0, "a scale of 0");
  nib_graph_destroy(g);

  messages = 0;
  g = build_graph();
  g->nodes[1].in[0] = g->nodes[3].out;
  check(mlirModuleIsNull(nibModuleFromGraph(context, g)) && messages > 0, "a value used too early");
  nib_graph_destroy(g);

  static const char two[] = "func.func @a() { return }\nfunc.func @b() { return }\n";
  messages = 0;
  MlirModule module = mlirModuleCreateParse(context, mlirStringRefCreateFromCString(two));
  check(!mlirModuleIsNull(module) && !nibGraphFromModule(module) && messages > 0, "two functions");
  mlirModuleDestroy(module);
  mlirContextDestroy(context);
}

/* --- real networks --- */

typedef struct real_model {
  const char *path;
  int32_t nodes;
  nib_status status;
  double in_scale;
  int64_t in_zero_point;
  double out_scale;
  int64_t out_zero_point;
} real_model;

static const real_model real_models[] = {
#include "../support/real_tflite_models.inc"
};

static uint8_t *read_file(const char *path, size_t *out_size) {
  FILE *file = fopen(path, "rb");
  if (!file)
    return NULL;
  fseek(file, 0, SEEK_END);
  *out_size = (size_t)ftell(file);
  rewind(file);
  uint8_t *bytes = malloc(*out_size);
  if (!bytes || fread(bytes, 1, *out_size, file) != *out_size)
    abort();
  fclose(file);
  return bytes;
}

/* As imported, and again with everything that the stages add. */
static void test_real_model(const char *path) {
  size_t size;
  uint8_t *bytes = read_file(path, &size);
  if (!bytes) {
    printf("skipped, not there: %s\n", path);
    return;
  }
  nib_import_options import = {.model_name = "net", .display_path = path};
  nib_graph *g = NULL;
  check(nib_import_tflite(bytes, size, &import, &g, NULL) == NIB_OK, path);
  free(bytes);
  if (!g)
    return;
  free(round_trip(g, path));
  nib_options options = nib_options_default();
  options.target = "c99";
  bool staged = nib_simplify_graph(g, &options, NULL) == NIB_OK &&
                nib_fuse_graph(g, &options, NULL) == NIB_OK &&
                nib_plan_graph(g, &options, NULL) == NIB_OK &&
                nib_select_graph(g, &options, NULL) == NIB_OK;
  check(staged, path);
  if (staged)
    free(round_trip(g, path));
  nib_graph_destroy(g);
}

static void test_real_models(void) {
  const char *shared = getenv("NIB_SHARED");
  for (size_t i = 0; shared && i < sizeof real_models / sizeof *real_models; ++i) {
    char path[1024];
    snprintf(path, sizeof path, "%s/data/%s", shared, real_models[i].path);
    if (real_models[i].status == NIB_OK)
      test_real_model(path);
  }
  if (!shared)
    puts("skipped the real networks: NIB_SHARED is not set");
}

int main(void) {
  test_planned_graph();
  test_refused();
  test_real_models();
  if (!failures)
    puts("bridge: all round trips keep the graph");
  return failures != 0;
}
