// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// NAME.h and NAME_main.c.
#include "emit/model.h"

#include "params/params.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void nib_model_comment_safe(const char *text, char *out, size_t size) {
  size_t n = 0;
  for (; text && *text && n + 1 < size; ++text) {
    const unsigned char c = (unsigned char)*text;
    const char last = n ? out[n - 1] : 0;
    const bool bad = c < 32 || c > 126 || c == '\\' || (c == '/' && last == '*') ||
                     (c == '*' && last == '/') || (c == '?' && last == '?');
    out[n++] = bad ? '_' : (char)c;
  }
  out[n] = 0;
}

void nib_model_shape(const nib_tensor *t, char *out, size_t size) {
  size_t n = 0;
  out[0] = 0;
  for (int32_t i = 0; i < t->rank && n < size; ++i)
    n += (size_t)snprintf(out + n, size - n, "%s%" PRId64, i ? "x" : "", t->dims[i]);
  if (t->rank == 0)
    snprintf(out, size, "scalar");
}

/* Words that a function of global scope cannot have: C, C++, and the library that we include. */
static const char reserved[] =
    " alignas alignof and and_eq asm auto bitand bitor bool break case catch char class compl "
    "const "
    "constexpr const_cast continue decltype default delete do double dynamic_cast else enum "
    "explicit export extern false float for friend goto if inline int long main mutable namespace "
    "new noexcept not not_eq nullptr operator or or_eq private protected public register "
    "reinterpret_cast restrict return short signed sizeof static static_assert static_cast struct "
    "switch template this thread_local throw true try typedef typeid typename union unsigned using "
    "virtual void volatile wchar_t while xor xor_eq unix linux "
    "acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 "
    "fabs fdim floor fma fmax fmin fmod frexp hypot ilogb j0 j1 jn ldexp lgamma llrint llround log "
    "log10 log1p log2 logb lrint lround modf nan nearbyint nextafter pow remainder remquo rint "
    "round scalbn sin sinh sqrt tan tanh tgamma trunc y0 y1 yn gamma signgam abs labs exit abort "
    "index rindex bcopy bzero bcmp ffs memcpy memmove memset memcmp memchr strcat strchr strcmp "
    "strcpy strlen strncat strncmp strncpy strstr strtok strdup printf puts remove rename malloc "
    "calloc realloc free read write open close stdin stdout stderr ";

void nib_model_wrapper_name(const char *name, char *out, size_t size) {
  char word[128];
  snprintf(word, sizeof word, " %s ", name);
  snprintf(out, size, "%s%s", name, strstr(reserved, word) ? "_infer" : "");
}

const char *nib_model_c_type(const nib_graph *g, int32_t tensor) {
  return nib_format_get(g->tensors[tensor].format)->c_type;
}

static void write_port(const nib_graph *g, const char *kind, int32_t i, int32_t tensor,
                       nib_text *t) {
  const nib_tensor *x = &g->tensors[tensor];
  char name[96], shape[128];
  nib_model_comment_safe(x->name, name, sizeof name);
  nib_model_shape(x, shape, sizeof shape);
  nib_text_printf(t, " *   %s%d  %s[%s]", kind, i, nib_model_c_type(g, tensor), shape);
  if (x->quantized && x->zero_point)
    nib_text_printf(t, "  real = (code %c %" PRId64 ") * %.9g", x->zero_point < 0 ? '+' : '-',
                    x->zero_point < 0 ? -x->zero_point : x->zero_point, x->scale);
  else if (x->quantized)
    nib_text_printf(t, "  real = code * %.9g", x->scale);
  nib_text_printf(t, "%s%s\n", name[0] ? "  " : "", name);
}

void nib_model_write_ports(const nib_graph *g, nib_text *t) {
  for (int32_t i = 0; i < g->n_inputs; ++i)
    write_port(g, "in", i, g->inputs[i], t);
  for (int32_t i = 0; i < g->n_outputs; ++i)
    write_port(g, "out", i, g->outputs[i], t);
}

int64_t nib_model_macs(const nib_graph *g) {
  int64_t macs = 0;
  for (int32_t i = 0; i < g->n_nodes; ++i) {
    const nib_node *n = &g->nodes[i];
    if (n->op != NIB_OP_CONV2D && n->op != NIB_OP_DEPTHWISE_CONV2D &&
        n->op != NIB_OP_TRANSPOSE_CONV2D && n->op != NIB_OP_FULLY_CONNECTED)
      continue;
    nib_conv_shape s;
    nib_params_conv_shape(g, n, &s);
    const int64_t pixels = n->op == NIB_OP_TRANSPOSE_CONV2D ? s.in_h * s.in_w : s.out_h * s.out_w;
    macs += s.batch * pixels * s.out_c * s.kernel_h * s.kernel_w * (s.in_c / s.groups);
  }
  return macs;
}

static void upper(const char *name, char *out, size_t size) {
  size_t n = 0;
  for (; name[n] && n + 1 < size; ++n)
    out[n] = (char)toupper((unsigned char)name[n]);
  out[n] = 0;
}

/* Names of constants are the model's name in capitals, unless that would be the name itself. */
static void write_sizes(const nib_graph *g, const nib_model_options *o, size_t weights_bytes,
                        nib_text *t) {
  const int64_t arena = g->arena_bytes > 0 ? g->arena_bytes : 0;
  char p[128];
  upper(o->name, p, sizeof p);
  nib_text_line(t, "#define %s_ARENA_BYTES %" PRId64 "u", p, arena);
  nib_text_line(t, "#define %s_WEIGHTS_BYTES %zuu", p, weights_bytes);
  nib_text_line(t, "#define %s_MACS %" PRId64 "u", p, nib_model_macs(g));
  nib_text_line(t, "#define %s_INPUTS %d", p, g->n_inputs);
  nib_text_line(t, "#define %s_OUTPUTS %d", p, g->n_outputs);
  for (int32_t i = 0; i < g->n_inputs; ++i)
    nib_text_line(t, "#define %s_INPUT_%d_BYTES %zuu", p, i,
                  nib_tensor_bytes(&g->tensors[g->inputs[i]]));
  for (int32_t i = 0; i < g->n_outputs; ++i)
    nib_text_line(t, "#define %s_OUTPUT_%d_BYTES %zuu", p, i,
                  nib_tensor_bytes(&g->tensors[g->outputs[i]]));
}

static void write_interface(const nib_graph *g, const nib_model_options *o, nib_text *t) {
  char wrapper[160];
  nib_model_wrapper_name(o->name, wrapper, sizeof wrapper);
  nib_text_printf(
      t,
      "\n/* Runs the network once. in[i] and out[i] are the buffers listed above, aligned for "
      "their\n"
      " * type; they must not overlap. arenas[NIBRT_SPACE_HOST] is %" PRId64
      " bytes of scratch memory,\n * aligned to NIBRT_ARENA_ALIGNMENT. exec may be NULL. */\n"
      "nibrt_status %s_run(const nibrt_exec *exec, const void *const *in, void *const *out,\n"
      "    void *const *arenas);\n\n/* The same for one caller, with types. */\nnibrt_status %s(",
      g->arena_bytes > 0 ? g->arena_bytes : 0, o->name, wrapper);
  for (int32_t i = 0; i < g->n_inputs; ++i)
    nib_text_printf(t, "const %s in%d[%" PRId64 "], ", nib_model_c_type(g, g->inputs[i]), i,
                    nib_tensor_elems(&g->tensors[g->inputs[i]]));
  for (int32_t i = 0; i < g->n_outputs; ++i)
    nib_text_printf(t, "%s out%d[%" PRId64 "], ", nib_model_c_type(g, g->outputs[i]), i,
                    nib_tensor_elems(&g->tensors[g->outputs[i]]));
  nib_text_printf(t, "void *arena);\n");
}

void nib_model_write_header(const nib_graph *g, const nib_model_options *o, size_t weights_bytes,
                            nib_text *t) {
  char guard[160];
  upper(o->name, guard, sizeof guard);
  nib_text_printf(t, "/* %s: a neural network compiled by Nibble " NIB_VERSION " for %s.\n *\n",
                  o->name, o->target->spec);
  nib_model_write_ports(g, t);
  if (g->arena_bytes > 0 && g->lower_bound_bytes > 0)
    nib_text_printf(t, " *\n * Arena: %" PRId64 " bytes, of which %" PRId64 " are unavoidable.\n",
                    g->arena_bytes, g->lower_bound_bytes);
  static const char *const uses_of_memory[] = {
      " *\n * Nothing is allocated and nothing is kept between calls: several threads may run the "
      "model,\n * each with an arena of its own. */\n",
      " *\n * Memory is taken from malloc and given back before a call returns: several threads "
      "may "
      "run\n * the model. */\n",
      " *\n * A session (nibrt_cuda.h) holds the model on a device; one thread at a time uses it. "
      "*/\n"};
  const bool cuda = nib_target_is_cuda(o->target);
  nib_text_printf(t, "%s", uses_of_memory[cuda ? 2 : o->allocates]);
  if (nib_model_is_cut(g)) {
    t->size -= strlen(" */\n");
    nib_text_printf(t,
                    " A call uses up to %d threads if its nibrt_exec\n * has any, such as those of "
                    "%s; results do not depend on it. */\n",
                    g->threads, o->target->bare_metal ? "nibrt_cluster.h" : "nibrt_pool.h");
  }
  nib_text_printf(t, "#ifndef NIB_MODEL_%s_H\n#define NIB_MODEL_%s_H\n\n", guard, guard);
  nib_text_printf(t, "#include \"%s\"\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n",
                  cuda ? "nibrt_cuda.h" : "nibrt_abi.h");
  write_sizes(g, o, weights_bytes, t);
  if (cuda)
    nib_model_write_cuda_interface(g, o, t);
  else
    write_interface(g, o, t);
  nib_text_printf(t, "\n#ifdef __cplusplus\n}\n#endif\n#endif\n");
}

bool nib_model_is_cut(const nib_graph *g) {
  for (int32_t i = 0; i < g->n_kernels; ++i)
    if (g->kernels[i].parts > 1)
      return true;
  return false;
}

/* The statement that prints element k of an output. */
static const char *print_format(nib_format format) {
  switch (format) {
  case NIB_F32:
  case NIB_F64:
    return "\" %g\", (double)";
  default:
    return "\" %ld\", (long)";
  }
}

void nib_model_write_example_inputs(const nib_graph *g, nib_text *t) {
  for (int32_t i = 0; i < g->n_inputs; ++i)
    nib_text_printf(t,
                    "  if (argc > %d && !read_file(argv[%d], in%d, sizeof in%d))\n    return 1;\n",
                    i + 1, i + 1, i, i);
  if (!g->n_inputs)
    nib_text_printf(t, "  (void)argc, (void)argv;\n");
}

void nib_model_write_example_outputs(const nib_graph *g, nib_text *t) {
  for (int32_t i = 0; i < g->n_outputs; ++i) {
    const nib_tensor *x = &g->tensors[g->outputs[i]];
    const int64_t n = nib_tensor_elems(x), shown = n > 64 ? 64 : n;
    nib_text_printf(t, "  printf(\"out%d:\");\n  for (int i = 0; i < %" PRId64 "; ++i)\n", i,
                    shown);
    nib_text_printf(t, "    printf(%sout%d[i]);\n  printf(\"%s\\n\");\n", print_format(x->format),
                    i, shown < n ? " ..." : "");
  }
}

static void write_example_main(const nib_graph *g, const nib_model_options *o, nib_text *t) {
  nib_text_printf(t, "\nint main(int argc, char **argv) {\n");
  nib_text_printf(t, "  const void *const in[] = {");
  for (int32_t i = 0; i < g->n_inputs; ++i)
    nib_text_printf(t, "%sin%d", i ? ", " : "", i);
  nib_text_printf(t, "%s};\n  void *const out[] = {", g->n_inputs ? "" : "NULL");
  for (int32_t i = 0; i < g->n_outputs; ++i)
    nib_text_printf(t, "%sout%d", i ? ", " : "", i);
  nib_text_printf(t, "%s};\n  void *const arenas[] = {arena};\n", g->n_outputs ? "" : "NULL");
  nib_model_write_example_inputs(g, t);
  const bool cut = nib_model_is_cut(g) && !o->target->bare_metal;
  if (cut)
    nib_text_printf(t,
                    "  nibrt_pool *const pool = nibrt_pool_create(%d);\n"
                    "  if (!pool)\n    return 1;\n"
                    "  nibrt_exec exec;\n  nibrt_pool_exec(pool, &exec);\n",
                    g->threads);
  nib_text_printf(t,
                  "  if (%s_run(%s, in, out, arenas) != NIBRT_OK) {\n"
                  "    fprintf(stderr, \"%s_run failed\\n\");\n    return 1;\n  }\n%s",
                  o->name, cut ? "&exec" : "NULL", o->name,
                  cut ? "  nibrt_pool_destroy(pool);\n" : "");
  nib_model_write_example_outputs(g, t);
  nib_text_printf(t, "  return 0;\n}\n");
}

void nib_model_write_example(const nib_graph *g, const nib_model_options *o, nib_text *t) {
  char caps[128];
  upper(o->name, caps, sizeof caps);
  const bool cuda = nib_target_is_cuda(o->target);
  const bool cut = nib_model_is_cut(g) && !o->target->bare_metal;
  nib_text_printf(
      t,
      "/* An example of use: %s [raw input file ...]; inputs without a file are zeros.\n"
      " * cc -O2 *.c -lm%s -o %s */\n#include \"%s.h\"\n%s\n#include <stdio.h>\n\n",
      o->name,
      cuda                  ? " -ldl"
      : cut ? " -pthread"
                            : "",
      o->name, o->name, cut ? "#include \"nibrt_pool.h\"\n" : "");
  if (!cuda)
    nib_text_printf(t,
                    "static _Alignas(64) uint8_t arena[%s_ARENA_BYTES > 0 ? %s_ARENA_BYTES : 1];\n",
                    caps, caps);
  for (int32_t i = 0; i < g->n_inputs; ++i)
    nib_text_printf(t, "static %s in%d[%" PRId64 "];\n", nib_model_c_type(g, g->inputs[i]), i,
                    nib_tensor_elems(&g->tensors[g->inputs[i]]));
  for (int32_t i = 0; i < g->n_outputs; ++i)
    nib_text_printf(t, "static %s out%d[%" PRId64 "];\n", nib_model_c_type(g, g->outputs[i]), i,
                    nib_tensor_elems(&g->tensors[g->outputs[i]]));
  if (g->n_inputs)
    nib_text_printf(t,
                    "\nstatic int read_file(const char *path, void *data, size_t bytes) {\n"
                    "  FILE *f = fopen(path, \"rb\");\n"
                    "  const size_t n = f ? fread(data, 1, bytes, f) : 0;\n"
                    "  if (f)\n    fclose(f);\n"
                    "  if (n != bytes)\n"
                    "    fprintf(stderr, \"%%s: %%zu bytes, expected %%zu\\n\", path, n, bytes);\n"
                    "  return n == bytes;\n}\n");
  if (cuda)
    nib_model_write_cuda_main(g, o, t);
  else
    write_example_main(g, o, t);
}
