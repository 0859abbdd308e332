/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nibc inspect and nibc targets. */
#include "commands.h"
#include "cuda.h"
#include "compare.h"
#include "message.h"
#include "npy.h"
#include "reference/reference.h"
#include "report.h"
#include "riscv.h"
#include "toolchain.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Messages about what is not supported, kept for the end of the listing. */
typedef struct unsupported_list {
  char **messages;
  int n, capacity;
} unsupported_list;

static void keep_note(void *user, nib_severity severity, const char *message) {
  unsupported_list *list = user;
  if (severity != NIB_NOTE) {
    nibc_say(severity, message);
    return;
  }
  if (list->n == list->capacity) {
    const int capacity = list->capacity ? list->capacity * 2 : 16;
    char **grown = realloc(list->messages, (size_t)capacity * sizeof *grown);
    if (!grown)
      return;
    list->messages = grown;
    list->capacity = capacity;
  }
  list->messages[list->n++] = strdup(message);
}

/* Element `i` of a constant as a real number. */
static double element(const nib_tensor *t, int64_t i) {
  const double code = nibc_element(t->format, t->data, i);
  return t->quantized ? (code - (double)t->zero_point) * t->scale : code;
}

/* "[-12.5, 3]": of a constant its values, of a quantized activation what it can represent. */
static void range_text(const nib_tensor *t, char *out, size_t size) {
  const nib_format_info *f = nib_format_get(t->format);
  if (t->data && nib_tensor_elems(t) > 0) {
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0, n = nib_tensor_elems(t); i < n; ++i) {
      const double v = element(t, i);
      low = v < low ? v : low;
      high = v > high ? v : high;
    }
    snprintf(out, size, "[%.6g, %.6g]", low, high);
  } else if (t->quantized) {
    snprintf(out, size, "[%.6g, %.6g]", ((double)f->min - (double)t->zero_point) * t->scale,
             ((double)f->max - (double)t->zero_point) * t->scale);
  } else {
    snprintf(out, size, "-");
  }
}

static void print_operators(const nib_graph *g) {
  printf("%s%-5s %-18s %-32s %-18s %-6s %14s%s\n", nibc_bold(), "#", "operator", "name", "result",
         "format", "MACs", nibc_plain());
  int64_t total = 0;
  for (int32_t i = 0; i < g->n_nodes; ++i) {
    const nib_node *n = &g->nodes[i];
    const nib_tensor *out = &g->tensors[n->out];
    int64_t macs, bytes;
    nibc_count_work(g, &i, 1, &macs, &bytes);
    total += macs;
    printf("%-5d %-18s %-32.32s %-18s %-6s %14s\n", n->source_index, nib_op_get(n->op)->mnemonic,
           n->name, nibc_shape(out->rank, out->dims).text, nib_format_get(out->format)->name,
           nibc_number(macs).text);
  }
  printf("%d operators, %s MACs\n\n", g->n_nodes, nibc_number(total).text);
}

static const char *tensor_role(const nib_graph *g, int32_t t) {
  for (int32_t i = 0; i < g->n_inputs; ++i)
    if (g->inputs[i] == t)
      return "input";
  if (nib_graph_is_output(g, t))
    return "output";
  return g->tensors[t].data ? "constant" : "";
}

static void print_tensors(const nib_graph *g) {
  printf("%s%-32s %-9s %-18s %-6s %-13s %-6s %-24s %12s%s\n", nibc_bold(), "tensor", "role",
         "shape", "format", "scale", "zero", "range", "bytes", nibc_plain());
  int64_t activations = 0;
  for (int32_t i = 0; i < g->n_tensors; ++i) {
    const nib_tensor *t = &g->tensors[i];
    const char *role = tensor_role(g, i);
    if (!role[0] && t->producer == NIB_NONE)
      continue;
    char range[64], scale[32] = "-", zero[24] = "-";
    range_text(t, range, sizeof range);
    if (t->quantized) {
      snprintf(scale, sizeof scale, "%.7g", t->scale);
      snprintf(zero, sizeof zero, "%lld", (long long)t->zero_point);
    }
    activations += t->data ? 0 : (int64_t)nib_tensor_bytes(t);
    printf("%-32.32s %-9s %-18s %-6s %-13s %-6s %-24s %12s\n", t->name, role,
           nibc_shape(t->rank, t->dims).text, nib_format_get(t->format)->name, scale, zero, range,
           nibc_number((int64_t)nib_tensor_bytes(t)).text);
  }
  printf("activations %s bytes, constants %s bytes\n", nibc_number(activations).text,
         nibc_number(nibc_count_weights(g)).text);
  if (g->rounding)
    printf("rounding %s\n", g->rounding);
}

nib_status nibc_command_inspect(const nibc_options *o) {
  nibc_session s;
  unsupported_list list = {NULL, 0, 0};
  const nib_diag diag = {keep_note, &list};
  nib_status status = nibc_session_begin(o, &s);
  if (status == NIB_OK)
    status = nibc_session_import(&s, true, &diag);
  if (s.imported) {
    const nib_graph *g = s.imported;
    print_operators(g);
    print_tensors(g);
    for (int32_t i = 0; i < g->n_nodes; ++i)
      if (!nib_reference_supports(g, i)) {
        char text[512];
        snprintf(text, sizeof text, "%s: operator %d (%s '%.200s'): no kernel for %s", o->model,
                 g->nodes[i].source_index, nib_op_get(g->nodes[i].op)->mnemonic, g->nodes[i].name,
                 nib_format_get(g->tensors[g->nodes[i].out].format)->name);
        keep_note(&list, NIB_NOTE, text);
      }
  }
  if (list.n && (status == NIB_OK || status == NIB_ERROR_UNSUPPORTED)) {
    printf("%snot supported (%d):\n", s.imported ? "\n" : "", list.n);
    for (int i = 0; i < list.n; ++i)
      printf("  %s\n", list.messages[i]);
    status = NIB_ERROR_UNSUPPORTED;
  }
  for (int i = 0; i < list.n; ++i)
    free(list.messages[i]);
  free(list.messages);
  nibc_session_close(&s);
  return status;
}

/* What `nibc targets` says of running a target's code, "" where it runs on this processor. */
static const char *where_it_runs(const nib_target *target) {
  if (nib_target_is_cuda(target))
    return nibc_cuda_has_driver() ? "" : " (no driver here)";
  if (nib_target_is_riscv(target)) {
    char *emulator = nibc_program_find(nibc_riscv_emulator_name(target, target->bare_metal));
    const bool found = emulator != NULL;
    free(emulator);
    return found ? " (runs in QEMU)" : " (no QEMU here)";
  }
  return nib_target_runs_here(target) ? "" : " (does not run here)";
}

nib_status nibc_command_targets(const nibc_options *o) {
  (void)o;
  const char *name, *description;
  nib_feature_set set;
  printf("A target is NAME{(+|,)[+|-]feature}, as x86-64-v4+avx512vnni or native,-avx512vnni.\n\n"
         "targets:\n");
  for (size_t i = 0; nib_target_row(i, &name, &description, &set); ++i) {
    nib_target target;
    const bool known = nib_target_parse(name, &target, NULL) == NIB_OK;
    printf("  %-26s %s%s\n", name, description, known ? where_it_runs(&target) : "");
    if (!set)
      continue;
    printf("  %-26s ", "");
    for (int f = 0; f < NIB_FEATURE_COUNT; ++f)
      if (set >> f & 1)
        printf(" +%s", nib_feature_name((nib_feature)f));
    printf("\n");
  }
  static const char *const families[] = {
      [NIB_ARCH_X86] = "x86", [NIB_ARCH_CUDA] = "CUDA, with their target", [NIB_ARCH_RISCV] = "RISC-V"};
  for (int arch = NIB_ARCH_X86; arch <= NIB_ARCH_RISCV; ++arch) {
    printf("\nfeatures of %s:\n", families[arch]);
    for (int f = 0; f < NIB_FEATURE_COUNT; ++f)
      if (nib_feature_arch((nib_feature)f) == (nib_arch)arch)
        printf("  %s%s\n", nib_feature_name((nib_feature)f),
               nib_feature_is_ours((nib_feature)f) ? " (Nibble's own)" : "");
  }
  return NIB_OK;
}
