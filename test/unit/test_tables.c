/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_tables
/* Every function of one number in every format of at most 8 bits, on all of its codes: generated
 * code looks the result up, equals the reference, and is the function's value in double, rounded.
 */
#include "emit_harness.h"

#include "params/params.h"

static int compared;

/* ---- the definition ---- */

static double definition(const nib_node *n, double x) {
  const nib_real_function *f = nib_params_real_function(n->op);
  if (f)
    return f->f64(x);
  if (n->op == NIB_OP_LEAKY_RELU)
    return x < 0 ? x * 0.125 : x;
  const double lo = n->op == NIB_OP_RELU ? 0 : -1, hi = n->op == NIB_OP_RELU ? INFINITY : 0.5;
  return x < lo ? lo : x > hi ? hi : x;
}

static double stored(nib_format f, double x) {
  uint64_t code = 0;
  nib_format_store_real(f, &code, 0, x);
  return nib_format_load_real(f, &code, 0);
}

/* What may come of the value in double, where f32 is off by a few of its last places. */
static bool real_is_right(nib_format f, double x, double y, double got) {
  const double slack = isfinite(y) ? 4e-6 * fabs(y) + 2e-6 * fabs(x) : 0;
  const double lo = stored(f, y - slack), hi = stored(f, y + slack);
  if (isnan(got))
    return isnan(lo) || isnan(hi);
  return (isnan(lo) || got >= lo) && (isnan(hi) || got <= hi);
}

/* Codes: half a step, one with the fixed-point arithmetic of other modes. */
static bool code_is_right(const nib_tensor *t, double y, bool nearest, int64_t got) {
  const nib_format_info *f = nib_format_get(t->format);
  double code = y / t->scale + (double)t->zero_point;
  code = code < (double)f->min ? (double)f->min : code > (double)f->max ? (double)f->max : code;
  return isnan(y) || fabs((double)got - code) <= (nearest ? 0.501 : 1.0);
}

static void check_function(const suite *s, const nib_node *n, const void *in, const void *reference,
                           const void *generated, bool nearest) {
  const nib_tensor *x = &s->g->tensors[n->in[0]], *y = &s->g->tensors[n->out];
  const int codes = (int)nib_tensor_elems(x);
  for (int i = 0; i < codes; ++i, ++compared) {
    const bool same = ((const uint8_t *)reference)[i] == ((const uint8_t *)generated)[i];
    bool right;
    double expected;
    if (y->quantized) {
      const float number =
          (float)(nib_format_load_code(x->format, in, i) - x->zero_point) * (float)x->scale;
      expected = definition(n, (double)number);
      right = code_is_right(y, expected, nearest, nib_format_load_code(y->format, generated, i));
    } else {
      const double number = nib_format_load_real(x->format, in, i);
      expected = definition(n, number);
      right =
          real_is_right(y->format, number, expected, nib_format_load_real(y->format, generated, i));
    }
    if (same && right)
      continue;
    printf("%s (%s): code %d: reference 0x%02x, generated 0x%02x, expected %.9g\n", n->name,
           nib_op_get(n->op)->mnemonic, i, ((const uint8_t *)reference)[i],
           ((const uint8_t *)generated)[i], expected);
    ++harness_failures;
    return;
  }
}

/* ---- cases ---- */

static int32_t function(suite *s, nib_op op, int32_t x, int32_t y) {
  const int32_t n = node(s, op, y, 1, x);
  if (op == NIB_OP_LEAKY_RELU)
    nib_graph_set_float(s->g, n, NIB_A_ALPHA, 0.125);
  if (op == NIB_OP_CLAMP) {
    nib_graph_set_float(s->g, n, NIB_A_MIN, -1);
    nib_graph_set_float(s->g, n, NIB_A_MAX, 0.5);
  }
  return n;
}

/* All functions of one input that holds every code; scale 0: of reals. */
static int add_functions(suite *s, nib_format f, double scale, int64_t zp) {
  const int codes = 1 << nib_format_get(f)->bits;
  snprintf(s->label, sizeof s->label, "%.50s", nib_format_get(f)->name);
  int functions = 0;
  for (int op = 0; op < NIB_OP_COUNT; ++op) {
    if (nib_op_get((nib_op)op)->family != NIB_FAMILY_FUNCTION)
      continue;
    const int32_t x = input(s, f, shape(1, codes), scale, zp);
    const bool sigmoid = op == NIB_OP_SIGMOID, tanh_op = op == NIB_OP_TANH;
    const int64_t least = nib_format_get(f)->min;
    int32_t y = value(s, f, shape(1, codes), scale, zp);
    if (scale > 0 && (sigmoid || tanh_op)) /* the one scale that TensorFlow Lite has for it */
      nib_graph_set_quant(s->g, y, sigmoid ? 1.0 / 256 : 1.0 / 128, least + (tanh_op ? 128 : 0));
    function(s, (nib_op)op, x, y);
    output(s, y);
    ++functions;
  }
  return functions;
}

/* The code says it by tables: it calls no function of math.h. */
static void check_text(const char *dir, const char *name) {
  CHECK(shell("grep -q _table '%s/%s.c'", dir, name) == 0);
  CHECK(shell("! grep -qE '(exp|tanh|sin|erf|log|sqrt|tan)f?\\(' '%s/%s.c'", dir, name) == 0);
}

static void run_functions(suite *s, model_run *run, bool nearest) {
  const nib_graph *g = s->g;
  void *in[max_ports], *out[max_ports], *arenas[] = {aligned_alloc(64, 64)};
  nib_reference *r = NULL;
  CHECK(nib_reference_create(g, &r, &harness_diag) == NIB_OK);
  for (int32_t i = 0; i < g->n_inputs; ++i) {
    const nib_tensor *t = &g->tensors[g->inputs[i]];
    const int64_t n = nib_tensor_elems(t);
    in[i] = malloc((size_t)n);
    out[i] = malloc((size_t)n);
    for (int64_t code = 0; code < n; ++code)
      nib_format_store_code(t->format, in[i], code,
                            nib_format_extend_code(t->format, (uint64_t)code));
  }
  CHECK(run(NULL, (const void *const *)in, out, arenas) == NIBRT_OK);
  CHECK(r && nib_reference_run(r, (const void *const *)in, &harness_diag) == NIB_OK);
  for (int32_t i = 0; r && i < g->n_outputs; ++i)
    check_function(s, &g->nodes[i], in[i], nib_reference_tensor(r, g->outputs[i]), out[i], nearest);
  nib_reference_destroy(r);
  for (int32_t i = 0; i < g->n_inputs; ++i) {
    free(in[i]);
    free(out[i]);
  }
  free(arenas[0]);
}

static int test_functions(nib_format f, const char *rounding, double scale, int64_t zp) {
  suite s = suite_open("tables", rounding, 3);
  const int functions = add_functions(&s, f, scale, zp);
  char dir[64];
  finish(&s);
  CHECK(nib_graph_validate(s.g, &harness_diag) == NIB_OK);
  make_folder(dir);
  const nib_options o = emit_options(dir);
  CHECK(nib_emit_graph(s.g, &o, &harness_diag) == NIB_OK);
  check_text(dir, "tables");
  void *library = load_models(dir, "-O0");
  model_run *run = find_run(library, "tables");
  if (run)
    run_functions(&s, run, strcmp(rounding, "nearest-even") == 0);
  if (library)
    dlclose(library);
  remove_folder(dir);
  nib_graph_destroy(s.g);
  return functions;
}

static bool is_tabulated(nib_format f) {
  const nib_format_info *info = nib_format_get(f);
  return info->bits <= 8 && (info->kind == NIB_KIND_FLOAT || info->kind == NIB_KIND_CODEBOOK);
}

/* ---- functions among other operators of a kernel ---- */

/* x + x, tanh, sigmoid; sigmoid, sigmoid and their sum; fully_connected, abs, exp. */
static void test_chains(nib_format f) {
  suite s = suite_open("chains", "nearest-even", 4);
  snprintf(s.label, sizeof s.label, "%.50s", nib_format_get(f)->name);
  const shape_of d = shape(2, 4, 16);
  const int32_t x = input(&s, f, d, 0, 0);
  int32_t t[8];
  for (int i = 0; i < 8; ++i)
    t[i] = value(&s, f, d, 0, 0);
  int32_t nodes[3] = {node(&s, NIB_OP_ADD, t[0], 2, x, x), function(&s, NIB_OP_TANH, t[0], t[1]),
                      function(&s, NIB_OP_SIGMOID, t[1], t[2])};
  add_kernel(&s, nodes, 3);
  output(&s, t[2]);
  nodes[0] = function(&s, NIB_OP_SIGMOID, x, t[3]);
  nodes[1] = function(&s, NIB_OP_SIGMOID, t[3], t[4]);
  nodes[2] = node(&s, NIB_OP_ADD, t[5], 2, t[3], t[4]);
  add_kernel(&s, nodes, 3);
  output(&s, t[5]);
  const int32_t w = constant(&s, NIB_F32, shape(2, 16, 16), 0, 0, 0);
  const int32_t y = value(&s, f, d, 0, 0);
  nodes[0] = node(&s, NIB_OP_FULLY_CONNECTED, y, 2, x, w);
  nodes[1] = function(&s, NIB_OP_ABS, y, t[6]);
  nodes[2] = function(&s, NIB_OP_EXP, t[6], t[7]);
  add_kernel(&s, nodes, 3);
  output(&s, t[7]);
  finish(&s);
  CHECK(compare_generated(&s, "-O1 -ffp-contract=off", 2) == 3 * 2 * FILL_COUNT);
  nib_graph_destroy(s.g);
}

int main(void) {
  static const char *const spelled[] = {"power8:0.7", "e4m3:specials=none", "ue4m4", "e2m1:bias=2",
                                        "book:-1,-0.3,0.3,1"};
  static const struct {
    nib_format format;
    double scale;
    int64_t zp;
  } quantized[] = {{NIB_I8, 0.05, 0},   {NIB_I8, 0.0234375, -128}, {NIB_I8, 0.1, 127},
                   {NIB_U8, 0.05, 128}, {NIB_U8, 0.0234375, 0},    {NIB_U8, 0.1, 255}};
  int functions = 0, formats = 0;
  for (int f = 0; f < NIB_FORMAT_ROWS; ++f)
    if (is_tabulated((nib_format)f)) {
      functions += test_functions((nib_format)f, "nearest-even", 0, 0);
      ++formats;
    }
  for (size_t i = 0; i < sizeof spelled / sizeof *spelled; ++i) {
    const nib_format f = nib_format_find(spelled[i]);
    CHECK(f != NIB_FORMAT_COUNT && is_tabulated(f));
    functions += test_functions(f, "nearest-even", 0, 0);
    ++formats;
  }
  for (size_t i = 0; i < sizeof quantized / sizeof *quantized; ++i) {
    const double scale = (double)(float)quantized[i].scale;
    functions += test_functions(quantized[i].format, "nearest-even", scale, quantized[i].zp);
    functions += test_functions(quantized[i].format, "tflite-double", scale, quantized[i].zp);
  }
  test_chains(NIB_F8E4M3FN);
  test_chains(NIB_F8E5M2);
  test_chains(NIB_F16);
  printf("%d functions in %d formats and i8, ui8: %d codes\n", functions, formats, compared);
  CHECK(formats >= 20 && functions >= 36 * (formats + 12));
  if (harness_failures)
    printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}
