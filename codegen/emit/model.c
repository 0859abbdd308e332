// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// NAME.c and NAME_weights.c: kernels first, then what they turned out to need.
#include "emit/model.h"

#include "cuda/cuda_model.h"
#include "emit/libc.h"
#include "emit/snippets.h"
#include "emit/storage.h"
#include "schedule/schedule.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern const char nib_embedded_abi[], nib_embedded_pool_h[], nib_embedded_pool_c[];
extern const char nib_embedded_cluster_h[], nib_embedded_cluster_c[];

enum { max_inputs = 64, max_vocabs = 16 };

/* State of writing one model. */
typedef struct writer {
  const nib_graph *g;
  const nib_model_options *o;
  const nib_diag *diag;
  nib_constants *constants;
  nib_text kernels; /* all kernel functions */
  nib_text run;     /* NAME_run and the wrapper */
  uint64_t snippets[4];
  const nib_vocab *vocabs[max_vocabs];
  int32_t n_vocabs;
  bool cuts;               /* some kernel is cut into parts */
  int32_t *kernel_offsets; /* of each function in `kernels`, in lines */
} writer;

/* ---- kernels ---- */

static const nib_vocab *vocab_of(const nib_kernel *k) {
  return nib_vocab_find(k->vocab ? k->vocab : "c99");
}

static nib_status note_vocab(writer *w, const nib_vocab *v) {
  for (int32_t i = 0; i < w->n_vocabs; ++i)
    if (w->vocabs[i] == v)
      return NIB_OK;
  if (w->n_vocabs == max_vocabs)
    return nib_diag_error(w->diag, NIB_ERROR_INTERNAL, "more than %d vocabularies in a model",
                          max_vocabs);
  w->vocabs[w->n_vocabs++] = v;
  return NIB_OK;
}

void nib_model_kernel_symbol(const nib_graph *g, const char *name, int32_t i, char *out,
                             size_t size) {
  const nib_kernel *k = &g->kernels[i];
  snprintf(out, size, "%s_k%02d_%.80s", name, i, k->name ? k->name : "kernel");
}

static void write_node_comment(const nib_graph *g, const nib_node *n, nib_text *t) {
  char name[96], shape[128];
  nib_model_comment_safe(n->name, name, sizeof name);
  nib_text_printf(t, " *   %s", nib_op_get(n->op)->mnemonic);
  if (name[0])
    nib_text_printf(t, " '%s'", name);
  if (n->source_index >= 0)
    nib_text_printf(t, " (operator %d)", n->source_index);
  nib_text_printf(t, ":");
  for (int32_t i = 0; i < n->n_in; ++i) {
    if (n->in[i] == NIB_NONE)
      continue;
    nib_model_shape(&g->tensors[n->in[i]], shape, sizeof shape);
    nib_text_printf(t, " %s[%s]", nib_format_get(g->tensors[n->in[i]].format)->name, shape);
  }
  nib_model_shape(&g->tensors[n->out], shape, sizeof shape);
  nib_text_printf(t, " -> %s[%s]\n", nib_format_get(g->tensors[n->out].format)->name, shape);
}

void nib_model_kernel_comment(const nib_graph *g, int32_t index, nib_text *t) {
  const nib_kernel *k = &g->kernels[index];
  nib_text_printf(t, "\n/* Kernel %d, schedule %s, vocabulary %s", index, k->schedule,
                  vocab_of(k)->name);
  int used = 0;
  for (int i = 0; i < NIB_MAX_TILE; ++i)
    if (k->tile[i])
      used = i + 1;
  for (int i = 0; i < used; ++i)
    nib_text_printf(t, "%s%d", i ? "x" : ", tile ", k->tile[i]);
  nib_text_printf(t, ":\n");
  for (int32_t i = 0; i < k->n_nodes; ++i)
    write_node_comment(g, &g->nodes[k->nodes[i]], t);
  t->size -= 1; /* the comment ends on the last line */
  nib_text_printf(t, " */\n");
}

static bool is_cut(const nib_kernel *k) { return k->parts > 1; }

void nib_model_write_parameters(const nib_graph *g, const nib_kernel *k, const char *restricted,
                                nib_text *t) {
  int32_t inputs[max_inputs];
  const int32_t n = nib_kernel_inputs(g, k, inputs, max_inputs), output = nib_kernel_output(g, k);
  /* Kernels that work in place have an input and a result in the same bytes: no restrict. */
  if (nib_storage_overlaps_any(g, inputs, n, output))
    restricted = "";
  for (int32_t i = 0; i < n; ++i)
    nib_text_printf(t, "const %s *%sin%d, ", nib_model_c_type(g, inputs[i]), restricted, i);
  nib_text_printf(t, "%s *%sout%s", nib_model_c_type(g, output), restricted,
                  k->scratch_bytes > 0 ? ", uint8_t *scratch" : "");
}

static void write_signature(writer *w, int32_t index) {
  const nib_kernel *k = &w->g->kernels[index];
  const nib_vocab *v = vocab_of(k);
  char symbol[256];
  nib_model_kernel_symbol(w->g, w->o->name, index, symbol, sizeof symbol);
  if (v->function_attr[0])
    nib_text_printf(&w->kernels, "%s\n", v->function_attr);
  /* Of RISC-V each kernel stays a function of its own: it is counted by itself, and the stack is
   * the deepest kernel's. */
  const char *apart = nib_target_is_riscv(w->o->target) ? "__attribute__((noinline)) " : "";
  nib_text_printf(&w->kernels, "static %svoid %s(", apart, symbol);
  nib_model_write_parameters(w->g, k, "restrict ", &w->kernels);
  nib_text_printf(&w->kernels, "%s) {\n", is_cut(k) ? ", int32_t begin, int32_t end" : "");
}

/* ---- NAME_run ---- */

/* The C expression of a tensor's address. False if it has none. */
static bool address(writer *w, int32_t tensor, bool writable, nib_text *t) {
  const nib_storage s = nib_storage_of(w->g, tensor);
  const char *type = nib_model_c_type(w->g, tensor), *c = writable ? "" : "const ";
  switch (s.kind) {
  case NIB_STORAGE_INPUT:
    nib_text_printf(t, "(%s%s *)in[%d]", c, type, s.index);
    return !writable;
  case NIB_STORAGE_OUTPUT:
    nib_text_printf(t, "(%s *)out[%d]", type, s.index);
    return true;
  case NIB_STORAGE_ARENA:
    nib_text_printf(t, "(%s *)(void *)(arena + %" PRId64 ")", type, s.offset);
    return true;
  case NIB_STORAGE_CONSTANT: {
    const nib_tensor *x = &w->g->tensors[s.index];
    const char *p = nib_constants_add(w->constants, x->name[0] ? x->name : "constant", type,
                                      x->data, x->data_bytes);
    nib_text_printf(t, "%s", p ? p : "0");
    return !writable && p;
  }
  default:
    return false;
  }
}

static nib_status no_place(writer *w, int32_t tensor) {
  return nib_diag_error(w->diag, NIB_ERROR_INVALID_INPUT,
                        "tensor %d '%s' has no place in memory: plan the graph before emitting "
                        "(pass nib-plan)",
                        tensor, w->g->tensors[tensor].name);
}

/* "NAME_k03_conv(in, out, scratch" with addresses in terms of in, out and arena. A part has its
 * share of the scratch and a range of units. */
static nib_status write_arguments(writer *w, int32_t index, nib_text *t) {
  const nib_kernel *k = &w->g->kernels[index];
  int32_t inputs[max_inputs];
  const int32_t n = nib_kernel_inputs(w->g, k, inputs, max_inputs);
  const int32_t output = nib_kernel_output(w->g, k);
  char symbol[256];
  nib_model_kernel_symbol(w->g, w->o->name, index, symbol, sizeof symbol);
  nib_text_printf(t, "  %s(", symbol);
  for (int32_t i = 0; i < n; ++i) {
    if (!address(w, inputs[i], false, t))
      return no_place(w, inputs[i]);
    nib_text_printf(t, ", ");
  }
  if (!address(w, output, true, t))
    return no_place(w, output);
  if (k->scratch_bytes > 0)
    nib_text_printf(t, ", arena + %" PRId64, k->scratch_offset);
  return NIB_OK;
}

static nib_status write_call(writer *w, int32_t index) {
  const nib_kernel *k = &w->g->kernels[index];
  if (is_cut(k)) {
    nib_text_printf(&w->run, "  %s_cut(exec, %s_k%02d_part, &buffers, %d);\n", w->o->name,
                    w->o->name, index, k->parts);
    return NIB_OK;
  }
  NIB_RETURN_IF_ERROR(write_arguments(w, index, &w->run));
  nib_text_printf(&w->run, ");\n");
  return NIB_OK;
}

/* The task that runs one part of a kernel of `units`. */
static nib_status write_part(writer *w, int32_t index, int64_t units) {
  const nib_kernel *k = &w->g->kernels[index];
  const char *name = w->o->name;
  nib_text *t = &w->kernels;
  nib_text_printf(t,
                  "\nstatic void %s_k%02d_part(void *context, uint32_t part, uint32_t parts) {\n"
                  "  const %s_buffers *const buffers = context;\n"
                  "  const void *const *const in = buffers->in;\n"
                  "  void *const *const out = buffers->out;\n"
                  "  uint8_t *const arena = buffers->arena;\n"
                  "  (void)in, (void)out, (void)arena;\n",
                  name, index, name);
  NIB_RETURN_IF_ERROR(write_arguments(w, index, t));
  if (k->scratch_bytes > 0)
    nib_text_printf(t, " + part * UINT64_C(%" PRId64 ")", k->scratch_bytes / k->parts);
  /* 32 bits where they hold the product: a smaller processor divides them itself. */
  const bool wide = units > UINT32_MAX / k->parts;
  nib_text_printf(t,
                  ",\n      (int32_t)(UINT%d_C(%" PRId64
                  ") * part / parts), (int32_t)(UINT%d_C(%" PRId64 ") * (part + 1) / parts));\n}\n",
                  wide ? 64 : 32, units, wide ? 64 : 32, units);
  return NIB_OK;
}

/* What the parts of kernels need, before all kernels. */
static void write_cut(writer *w, nib_text *t) {
  const char *name = w->o->name;
  nib_text_printf(
      t,
      "typedef struct %s_buffers {\n  const void *const *in;\n  void *const *out;\n"
      "  uint8_t *arena;\n} %s_buffers;\n\n"
      "/* Runs a kernel in up to `parts` parts, or in one on this thread. */\n"
      "static void %s_cut(const nibrt_exec *exec, nibrt_task *task, %s_buffers *buffers,\n"
      "    uint32_t parts) {\n"
      "  if (exec && exec->size >= NIBRT_EXEC_SIZE_2 && exec->parallel)\n"
      "    exec->parallel(exec->pool, task, buffers, parts);\n"
      "  else\n    task(buffers, 0, 1);\n}\n\n",
      name, name, name, name);
}

nib_status nib_model_kernel_schedule(const nib_graph *g, const nib_model_options *o, int32_t index,
                                     bool device, const nib_schedule **out_schedule,
                                     const nib_vocab **out_vocab, const nib_diag *diag) {
  const nib_kernel *k = &g->kernels[index];
  const nib_schedule *schedule = *out_schedule =
      k->schedule ? nib_schedule_find(k->schedule) : NULL;
  const nib_vocab *vocab = *out_vocab = vocab_of(k);
  if (!schedule || !vocab || k->n_nodes < 1 || schedule->device != device ||
      nib_kernel_inputs(g, k, NULL, 0) > max_inputs)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "kernel %d '%s' has no schedule and vocabulary of target %s: select them "
                          "before emitting (pass nib-select)",
                          index, k->name ? k->name : "", o->target->spec);
  if (vocab->device != device || !schedule->accepts(g, k, vocab))
    return nib_diag_error(diag, NIB_ERROR_UNSUPPORTED, "kernel %d '%s': schedule %s cannot run it",
                          index, k->name, k->schedule);
  return NIB_OK;
}

static nib_status write_kernel(writer *w, int32_t index) {
  const nib_kernel *k = &w->g->kernels[index];
  const nib_schedule *schedule;
  const nib_vocab *vocab;
  NIB_RETURN_IF_ERROR(
      nib_model_kernel_schedule(w->g, w->o, index, false, &schedule, &vocab, w->diag));
  NIB_RETURN_IF_ERROR(note_vocab(w, vocab));
  w->kernel_offsets[index] = nib_text_lines(&w->kernels) + 1;
  nib_model_kernel_comment(w->g, index, &w->kernels);
  write_signature(w, index);
  nib_emitter e = {.graph = w->g,
                   .vocab = vocab,
                   .body = &w->kernels,
                   .constants = w->constants,
                   .diag = (nib_diag *)w->diag,
                   .size = w->o->size,
                   .unroll = w->o->unroll,
                   .cut = is_cut(k)};
  w->kernels.indent = 1;
  NIB_RETURN_IF_ERROR(schedule->emit(&e, k));
  w->kernels.indent = 0;
  nib_text_printf(&w->kernels, "}\n");
  for (int i = 0; i < 4; ++i)
    w->snippets[i] |= e.snippets[i];
  if (!is_cut(k))
    return NIB_OK;
  w->cuts = true;
  return write_part(w, index, schedule->units ? schedule->units(w->g, k, vocab) : 0);
}

/* Outputs whose value lies elsewhere: an input passed through, a constant, an arena tensor. */
static nib_status write_output_copies(writer *w) {
  for (int32_t i = 0; i < w->g->n_outputs; ++i) {
    const int32_t tensor = w->g->outputs[i];
    const nib_storage s = nib_storage_of(w->g, tensor);
    if (s.kind == NIB_STORAGE_OUTPUT && s.index == i)
      continue;
    nib_text_printf(&w->run, "  memcpy(out[%d], ", i);
    if (!address(w, tensor, false, &w->run))
      return no_place(w, tensor);
    nib_text_printf(&w->run, ", %zu);\n", nib_tensor_bytes(&w->g->tensors[tensor]));
  }
  return NIB_OK;
}

static void write_check(writer *w, const char *condition, const char *status, const char *text) {
  nib_text_printf(&w->run, "  if (%s)\n    return %s_fail(exec, %s, \"%s: %s\");\n", condition,
                  w->o->name, status, w->o->name, text);
}

static void write_argument_checks(writer *w) {
  char text[128];
  write_check(w,
              "exec && (exec->size < NIBRT_EXEC_SIZE_1 || exec->version < 1 || "
              "exec->version > NIBRT_ABI_VERSION)",
              "NIBRT_ERROR_ABI", "exec has another version of nibrt_abi.h");
  if (w->g->n_inputs)
    write_check(w, "!in", "NIBRT_ERROR_NULL_ARGUMENT", "in is NULL");
  if (w->g->n_outputs)
    write_check(w, "!out", "NIBRT_ERROR_NULL_ARGUMENT", "out is NULL");
  for (int pass = 0; pass < 2; ++pass)
    for (int32_t i = 0; i < (pass ? w->g->n_outputs : w->g->n_inputs); ++i) {
      char condition[32];
      const char *array = pass ? "out" : "in";
      snprintf(condition, sizeof condition, "!%s[%d]", array, i);
      snprintf(text, sizeof text, "%s[%d] is NULL", array, i);
      write_check(w, condition, "NIBRT_ERROR_NULL_ARGUMENT", text);
    }
  if (w->g->arena_bytes > 0) {
    write_check(w, "!arenas || !arenas[NIBRT_SPACE_HOST]", "NIBRT_ERROR_NULL_ARGUMENT",
                "the arena is NULL");
    write_check(w, "(uintptr_t)arenas[NIBRT_SPACE_HOST] % NIBRT_ARENA_ALIGNMENT != 0",
                "NIBRT_ERROR_ALIGNMENT", "the arena is not aligned to 64 bytes");
    nib_text_printf(&w->run, "  uint8_t *const arena = arenas[NIBRT_SPACE_HOST];\n");
  } else {
    nib_text_printf(&w->run, "  (void)arenas;\n");
  }
  if (!w->g->n_inputs)
    nib_text_printf(&w->run, "  (void)in;\n");
  if (!w->g->n_outputs)
    nib_text_printf(&w->run, "  (void)out;\n");
}

static void write_wrapper(writer *w) {
  const nib_graph *g = w->g;
  char wrapper[160];
  nib_model_wrapper_name(w->o->name, wrapper, sizeof wrapper);
  nib_text_printf(&w->run, "\nnibrt_status %s(", wrapper);
  for (int32_t i = 0; i < g->n_inputs; ++i)
    nib_text_printf(&w->run, "const %s in%d[%" PRId64 "], ", nib_model_c_type(g, g->inputs[i]), i,
                    nib_tensor_elems(&g->tensors[g->inputs[i]]));
  for (int32_t i = 0; i < g->n_outputs; ++i)
    nib_text_printf(&w->run, "%s out%d[%" PRId64 "], ", nib_model_c_type(g, g->outputs[i]), i,
                    nib_tensor_elems(&g->tensors[g->outputs[i]]));
  nib_text_printf(&w->run, "void *arena) {\n  const void *const in[] = {");
  for (int32_t i = 0; i < g->n_inputs; ++i)
    nib_text_printf(&w->run, "%sin%d", i ? ", " : "", i);
  nib_text_printf(&w->run, "%s};\n  void *const out[] = {", g->n_inputs ? "" : "NULL");
  for (int32_t i = 0; i < g->n_outputs; ++i)
    nib_text_printf(&w->run, "%sout%d", i ? ", " : "", i);
  nib_text_printf(&w->run,
                  "%s};\n  void *const arenas[] = {arena};\n"
                  "  return %s_run(NULL, in, out, arenas);\n}\n",
                  g->n_outputs ? "" : "NULL", w->o->name);
}

/* A function that runs kernel `index` alone, to be called from outside. */
static nib_status write_apart(writer *w, int32_t index) {
  static const char parameters[] = "const void *const *in, void *const *out, uint8_t *arena";
  nib_text_printf(&w->run,
                  "\nvoid %s_k%02d_apart(%s);\nvoid %s_k%02d_apart(%s) {\n"
                  "  (void)in, (void)out, (void)arena;\n",
                  w->o->name, index, parameters, w->o->name, index, parameters);
  NIB_RETURN_IF_ERROR(write_arguments(w, index, &w->run));
  nib_text_printf(&w->run, ");\n}\n");
  return NIB_OK;
}

static nib_status write_run(writer *w) {
  for (int32_t i = 0; w->o->apart && i < w->g->n_kernels; ++i)
    NIB_RETURN_IF_ERROR(write_apart(w, i));
  nib_text_printf(
      &w->run,
      "\nstatic nibrt_status %s_fail(const nibrt_exec *exec, nibrt_status status, const "
      "char *text) {\n  if (status != NIBRT_ERROR_ABI && exec && exec->message)\n"
      "    exec->message(exec->user, text);\n  return status;\n}\n",
      w->o->name);
  nib_text_printf(
      &w->run,
      "\nnibrt_status %s_run(const nibrt_exec *exec, const void *const *in, void *const "
      "*out,\n    void *const *arenas) {\n",
      w->o->name);
  write_argument_checks(w);
  if (w->cuts)
    nib_text_printf(&w->run, "  %s_buffers buffers = {in, out, %s};\n", w->o->name,
                    w->g->arena_bytes > 0 ? "arena" : "NULL");
  const size_t body = w->run.size;
  for (int32_t i = 0; i < w->g->n_kernels; ++i)
    NIB_RETURN_IF_ERROR(write_call(w, i));
  NIB_RETURN_IF_ERROR(write_output_copies(w));
  if (w->g->arena_bytes > 0 && !w->cuts &&
      (w->run.size == body || !strstr(w->run.data + body, "arena + "))) // not used
    nib_text_printf(&w->run, "  (void)arena;\n");
  nib_text_printf(&w->run, "  return NIBRT_OK;\n}\n");
  write_wrapper(w);
  return NIB_OK;
}

/* ---- the files ---- */

/* Bytes of the vocabulary's text from `at` to the next "//@ " line. */
static size_t paragraph_size(const char *at) {
  const char *next = strstr(at + 1, "\n//@ ");
  return next ? (size_t)(next + 1 - at) : strlen(at);
}

static bool is_part_of_name(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* Whether `name` occurs in text[0..size), not as the beginning of a longer one. */
static bool mentions(const char *text, size_t size, const char *name, size_t name_size) {
  for (size_t i = 0; i + name_size <= size; ++i)
    if (text[i] == name[0] && memcmp(text + i, name, name_size) == 0 &&
        (i + name_size == size || !is_part_of_name(text[i + name_size])))
      return true;
  return false;
}

enum { max_paragraphs = 128 };

static int list_paragraphs(const char *text, const char **at, int n) {
  for (const char *p = text; *p && n < max_paragraphs; p += paragraph_size(p))
    at[n++] = p;
  return n;
}

/* Emits the paragraphs that the kernels, or emitted paragraphs after them, name; those of two
 * vocabularies once. */
static void write_support(writer *w, const nib_vocab *v, nib_text *t) {
  const char *at[max_paragraphs];
  bool used[max_paragraphs];
  int n = v->base ? list_paragraphs(v->base->support, at, 0) : 0;
  n = list_paragraphs(v->support, at, n);
  for (int i = n - 1; i >= 0; --i) {
    const char *name = at[i] + 4;
    const size_t name_size = strcspn(name, " \n");
    used[i] = strncmp(at[i], "//@ ", 4) != 0 ||
              (w->kernels.size && mentions(w->kernels.data, w->kernels.size, name, name_size));
    for (int j = i + 1; j < n && !used[i]; ++j)
      used[i] = used[j] && mentions(at[j], paragraph_size(at[j]), name, name_size);
  }
  for (int i = 0; i < n; ++i) {
    if (!used[i])
      continue;
    const size_t head = strncmp(at[i], "//@ ", 4) == 0 ? strcspn(at[i], "\n") + 1 : 0;
    size_t size = paragraph_size(at[i]) - head;
    while (size && at[i][head + size - 1] == '\n')
      size--;
    if (t->size && mentions(t->data, t->size, at[i] + head, size))
      continue;
    nib_text_printf(t, "%.*s\n\n", (int)size, at[i] + head);
  }
}

static bool same_includes_before(const writer *w, int32_t i) {
  for (int32_t j = 0; j < i; ++j)
    if (strcmp(w->vocabs[j]->includes, w->vocabs[i]->includes) == 0)
      return true;
  return false;
}

/* Helpers of the vocabularies, then every snippet that they and the kernels name. */
static void write_helpers(writer *w, nib_text *t) {
  nib_text support;
  nib_text_init(&support);
  for (int32_t i = 0; i < w->n_vocabs; ++i)
    write_support(w, w->vocabs[i], &support);
  if (support.size)
    nib_snippets_scan(support.data, w->snippets);
  if (w->kernels.size)
    nib_snippets_scan(w->kernels.data, w->snippets);
  nib_snippets_append(w->snippets, t);
  if (support.size)
    nib_text_printf(t, "%s", support.data);
  t->failed |= support.failed;
  nib_text_free(&support);
}

static void write_source(writer *w, nib_text *t) {
  const char *name = w->o->name;
  nib_text_printf(t, "/* %s: generated by Nibble " NIB_VERSION " for %s.\n", name,
                  w->o->target->spec);
  if (nib_target_is_riscv(w->o->target)) {
    char march[256];
    nib_target_march(w->o->target, march, sizeof march);
    nib_text_printf(t,
                    " * Compile with clang, no header of a C library needed:\n"
                    " * clang --target=%s -march=%s -mabi=%s%s -O3 -c %s.c %s_weights.c\n",
                    w->o->target->triple, march, nib_target_abi(w->o->target),
                    w->o->target->xlen == 64 ? " -mcmodel=medany" : "", name, name);
  } else {
    nib_text_printf(t,
                    " * Compile with a C11 compiler, no target options needed: cc -O2 -c %s.c "
                    "%s_weights.c\n",
                    name, name);
  }
  nib_text_printf(t,
                  " * Results are defined without contraction of a*b+c, which is turned off below."
                  " */\n");
  nib_text_printf(t, "#include \"%s.h\"\n\n", name);
  if (!nib_libc_is_declared(w->o->target))
    nib_text_printf(t, "#include <math.h>\n#include <string.h>\n");
  for (int32_t i = 0; i < w->n_vocabs; ++i)
    if (w->vocabs[i]->includes[0] && !same_includes_before(w, i))
      nib_text_printf(t, "%s\n", w->vocabs[i]->includes);
  nib_text_printf(t,
                  "\n#if defined(__clang__)\n#pragma STDC FP_CONTRACT OFF\n"
                  "#elif defined(__GNUC__)\n#pragma GCC optimize(\"fp-contract=off\")\n#endif\n\n");
  nib_text helpers;
  nib_text_init(&helpers);
  write_helpers(w, &helpers);
  if (nib_libc_is_declared(w->o->target)) {
    const nib_text *const texts[] = {&helpers, &w->kernels, &w->run};
    nib_libc_declare(texts, sizeof texts / sizeof *texts, t);
    nib_text_printf(t, "\n");
  }
  nib_constants_declare(w->constants, t);
  nib_text_printf(t, "\n%s", helpers.size ? helpers.data : "");
  t->failed |= helpers.failed;
  nib_text_free(&helpers);
  if (w->cuts)
    write_cut(w, t);
}

void nib_model_write_weights(const nib_model_options *o, const nib_constants *constants,
                             nib_text *t) {
  const bool words =
      o->weights == NIB_WEIGHTS_WORDS || (o->target->features & NIB_FEATURE_BIT(CUDA));
  nib_text_printf(t, "/* %s: constants of the model, generated by Nibble " NIB_VERSION ".\n",
                  o->name);
  if (words)
    nib_text_printf(t,
                    " * Little-endian bytes in 64-bit words, which compile fast: for a big-endian "
                    "target use\n * nibc's --weights=bytes. */\n#include <stdint.h>\n");
  else
    nib_text_printf(t, " * One initialiser per element. */\n%s#include <stdint.h>\n",
                    nib_libc_is_declared(o->target)
                        ? "#define INFINITY __builtin_inff()\n#define NAN __builtin_nanf(\"\")\n"
                        : "#include <math.h>\n");
  nib_constants_define(constants, t);
  if (nib_constants_count(constants) == 0)
    nib_text_printf(t, "\n/* The model has none. */\ntypedef uint8_t %s_no_weights;\n", o->name);
}

static nib_status write_all(writer *w, nib_model_text *m) {
  for (int32_t i = 0; i < w->g->n_kernels; ++i)
    NIB_RETURN_IF_ERROR(write_kernel(w, i));
  NIB_RETURN_IF_ERROR(write_run(w));
  write_source(w, &m->source);
  const int32_t before = nib_text_lines(&m->source);
  for (int32_t i = 0; i < w->g->n_kernels; ++i)
    m->kernel_lines[i] = before + w->kernel_offsets[i];
  nib_text_printf(&m->source, "%.*s%.*s", (int)w->kernels.size,
                  w->kernels.size ? w->kernels.data : "", (int)w->run.size, w->run.data);
  nib_model_write_weights(w->o, w->constants, &m->weights);
  m->weights_bytes = nib_constants_bytes(w->constants);
  nib_model_write_header(w->g, w->o, m->weights_bytes, &m->header);
  nib_model_write_example(w->g, w->o, &m->example);
  m->is_cut = w->cuts;
  if (m->source.failed || m->weights.failed || m->header.failed || m->example.failed ||
      w->kernels.failed || w->run.failed || nib_constants_failed(w->constants))
    return nib_diag_error(w->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory for the generated code");
  return NIB_OK;
}

const char *nib_model_abi(void) { return nib_embedded_abi; }
const char *nib_model_pool_header(void) { return nib_embedded_pool_h; }
const char *nib_model_pool_source(void) { return nib_embedded_pool_c; }
const char *nib_model_cluster_header(void) { return nib_embedded_cluster_h; }
const char *nib_model_cluster_source(void) { return nib_embedded_cluster_c; }

nib_status nib_model_write(const nib_graph *g, const nib_model_options *o,
                           nib_model_text *out_model, const nib_diag *diag) {
  memset(out_model, 0, sizeof *out_model);
  out_model->abi = nib_model_abi();
  out_model->n_kernels = g->n_kernels;
  const size_t n = (size_t)g->n_kernels + 1;
  out_model->kernel_lines = calloc(n, sizeof *out_model->kernel_lines);
  if (out_model->kernel_lines && o->target->features & NIB_FEATURE_BIT(CUDA)) {
    const nib_status device = nib_cuda_model_write(g, o, out_model, diag);
    if (device != NIB_OK)
      nib_model_free(out_model);
    return device;
  }
  writer w = {.g = g, .o = o, .diag = diag};
  w.constants = nib_constants_create(o->name, o->weights);
  w.kernel_offsets = calloc(n, sizeof *w.kernel_offsets);
  nib_status status;
  if (!out_model->kernel_lines || !w.constants || !w.kernel_offsets)
    status = nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  else
    status = write_all(&w, out_model);
  nib_constants_destroy(w.constants);
  free(w.kernel_offsets);
  nib_text_free(&w.kernels);
  nib_text_free(&w.run);
  if (status != NIB_OK)
    nib_model_free(out_model);
  return status;
}

void nib_model_free(nib_model_text *m) {
  nib_text_free(&m->header);
  nib_text_free(&m->source);
  nib_text_free(&m->device);
  nib_text_free(&m->weights);
  nib_text_free(&m->example);
  free(m->kernel_lines);
  memset(m, 0, sizeof *m);
}
