/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The table after a compilation and --report's JSON. */
#include "report.h"
#include "desc/kernel_desc.h"
#include "emit/text.h"
#include "explain.h"
#include "file_io.h"
#include "lower.h"
#include "message.h"
#include "quantize/quantize.h"
#include "schedule/schedule.h"
#include "select/select.h"
#include "support.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

nibc_number_text nibc_number(int64_t value) {
  nibc_number_text out = {""};
  char digits[24];
  const int n = snprintf(digits, sizeof digits, "%lld", (long long)value);
  size_t used = 0;
  for (int i = 0; i < n; ++i) {
    if (i && (n - i) % 3 == 0 && digits[i - 1] != '-')
      out.text[used++] = ',';
    out.text[used++] = digits[i];
  }
  return out;
}

void nibc_count_work(const nib_graph *g, const int32_t *nodes, int32_t n, int64_t *out_macs,
                     int64_t *out_bytes) {
  nib_kernel_desc desc;
  *out_macs = *out_bytes = 0;
  if (nib_kernel_desc_from_nodes(g, nodes, n, &desc) != NIB_OK)
    return;
  *out_macs = desc.macs;
  *out_bytes = desc.input_bytes + desc.weight_bytes + desc.output_bytes;
  nib_kernel_desc_free(&desc);
}

/* What the weights of a kernel take less than their tensors: several may share a byte. */
static int64_t saved_bytes(const nib_graph *g, const nib_kernel *k) {
  return k->schedule ? nib_schedule_saved_bytes(nib_schedule_find(k->schedule), g, k) : 0;
}

static void count_kernel(const nib_graph *g, const nib_kernel *k, int64_t *out_macs,
                         int64_t *out_bytes) {
  nibc_count_work(g, k->nodes, k->n_nodes, out_macs, out_bytes);
  *out_bytes -= saved_bytes(g, k);
}

int64_t nibc_count_weights(const nib_graph *g) {
  int64_t bytes = 0;
  for (int32_t i = 0; i < g->n_kernels; ++i)
    bytes -= saved_bytes(g, &g->kernels[i]);
  for (int32_t t = 0; t < g->n_tensors; ++t)
    if (g->tensors[t].data && nib_graph_count_uses(g, t, NULL) > 0)
      bytes += (int64_t)g->tensors[t].data_bytes;
  return bytes;
}

/* "conv2d+add+relu". */
static char *kernel_operators(const nib_graph *g, const nib_kernel *k) {
  nib_text t;
  nib_text_init(&t);
  for (int32_t i = 0; i < k->n_nodes; ++i)
    nib_text_printf(&t, i ? "+%s" : "%s", nib_op_get(g->nodes[k->nodes[i]].op)->mnemonic);
  return t.data;
}

static const char *or_dash(const char *text) { return text ? text : "-"; }

static void print_kernels(FILE *to, const nib_graph *g) {
  fprintf(to, "%s%-28s %-30s %-26s %13s %12s %9s%s\n", nibc_bold(), "kernel", "operators",
          "schedule/vocabulary", "MACs", "bytes", "pred. us", nibc_plain());
  int64_t all_macs = 0, all_bytes = 0;
  double all_us = 0;
  for (int32_t i = 0; i < g->n_kernels; ++i) {
    const nib_kernel *k = &g->kernels[i];
    int64_t macs, bytes;
    count_kernel(g, k, &macs, &bytes);
    char *operators = kernel_operators(g, k);
    char how[64];
    snprintf(how, sizeof how, "%s/%s", or_dash(k->schedule), or_dash(k->vocab));
    fprintf(to, "%-28.28s %-30.30s %-26.26s %13s %12s %9.2f\n", k->name, operators ? operators : "",
            how, nibc_number(macs).text, nibc_number(bytes).text, k->predicted_ns * 1e-3);
    free(operators);
    all_macs += macs;
    all_bytes += bytes;
    all_us += k->predicted_ns * 1e-3;
  }
  char count[32];
  snprintf(count, sizeof count, "%d kernels", g->n_kernels);
  fprintf(to, "%-28s %-30s %-26s %13s %12s %9.2f\n", count, "", "", nibc_number(all_macs).text,
          nibc_number(all_bytes).text, all_us);
}

/* What kernels keep to themselves: results that another operator of the same kernel reads. */
static void print_inner(FILE *to, const nib_graph *g) {
  int64_t tensors = 0, bytes = 0;
  for (int32_t i = 0; i < g->n_kernels; ++i)
    for (int32_t n = 0; n + 1 < g->kernels[i].n_nodes; ++n, ++tensors)
      bytes += (int64_t)nib_tensor_bytes(&g->tensors[g->nodes[g->kernels[i].nodes[n]].out]);
  if (tensors > 0)
    fprintf(to, "inside:  %s tensors of %s bytes stay in their kernels\n",
            nibc_number(tensors).text, nibc_number(bytes).text);
}

/* Registers and memory of CUDA kernels, as ptxas says. */
static void print_cuda(FILE *to, const nibc_cuda_build *b) {
  const nibc_cuda_kernel *most = NULL;
  int spilling = 0;
  for (int i = 0; i < b->n; ++i) {
    most = !most || b->kernels[i].registers > most->registers ? &b->kernels[i] : most;
    spilling += b->kernels[i].spill_bytes > 0;
  }
  if (most)
    fprintf(to, "ptxas:   %d kernels, at most %d registers (%s), %d spill\n", b->n, most->registers,
            most->name, spilling);
}

void nibc_report_print(FILE *to, const nibc_session *s, const nibc_code_size *size) {
  const nib_graph *g = s->planned;
  if (nibc_is_lowered(s->options)) {
    fprintf(to, "%d operators lowered through linalg\n", g->n_nodes);
  } else {
    print_kernels(to, g);
    fprintf(to, "arena:   %s bytes (lower bound %s, unfused %s%s)\n",
            nibc_number(g->arena_bytes).text, nibc_number(g->proven_bound_bytes).text,
            nibc_number(g->unfused_lower_bound_bytes).text,
            g->arena_bytes == g->proven_bound_bytes ? "; optimal" : "");
    print_inner(to, g);
  }
  fprintf(to, "weights: %s bytes\n",
          nibc_number(size->weights_bytes >= 0 ? size->weights_bytes : nibc_count_weights(g)).text);
  if (size->code_bytes >= 0)
    fprintf(to, "code:    %s bytes%s\n", nibc_number(size->code_bytes).text,
            size->cuda.cubin_bytes >= 0 ? " (cubin)"
            : size->cuda.ptx_bytes >= 0 ? " (PTX)"
                                        : "");
  if (size->text_bytes >= 0)
    fprintf(to, "link:    .text %s, .rodata %s, .data and .bss %s bytes; undefined: %s\n",
            nibc_number(size->text_bytes).text, nibc_number(size->rodata_bytes).text,
            nibc_number(size->data_bytes).text,
            size->undefined && *size->undefined ? size->undefined : "nothing");
  if (size->stack_bytes >= 0)
    fprintf(to, "stack:   %s bytes at most%s\n", nibc_number(size->stack_bytes).text,
            s->target.features & NIB_FEATURE_BIT(V) ? ", spilled vectors aside" : "");
  print_cuda(to, &size->cuda);
  fprintf(to, "target:  %s\n", s->target.spec);
}

/* ---- per source operator ---- */

typedef struct operator_fate {
  const char *requested, *realised; /* precisions */
  const nib_kernel *kernel;         /* NULL: absorbed or a view */
  int32_t node;                     /* in the planned graph, or NIB_NONE */
} operator_fate;

static bool same_source(const nib_node *a, const nib_node *b) {
  return a->source_index >= 0 && a->source_index == b->source_index;
}

/* Operators that importers put around others to change a layout. */
static bool is_layout(nib_op op) {
  return op == NIB_OP_TRANSPOSE || op == NIB_OP_RESHAPE || op == NIB_OP_SQUEEZE ||
         op == NIB_OP_EXPAND_DIMS || op == NIB_OP_SCAST;
}

/* Whether node `i` stands for its source operator, of which importers may make several nodes: the
 * last one that is not there for a layout alone, else the first. */
static bool stands_for_source(const nib_graph *g, int32_t i) {
  const nib_node *n = &g->nodes[i];
  for (int32_t k = 0; k < g->n_nodes; ++k) {
    const nib_node *other = &g->nodes[k];
    if (k == i || !same_source(n, other))
      continue;
    const bool after = is_layout(n->op) ? k < i : k > i;
    if (is_layout(n->op) > is_layout(other->op) ||
        (after && is_layout(n->op) == is_layout(other->op)))
      return false;
  }
  return true;
}

/* The planned node that a source operator became: the same operator, else one that replaces it
 * under its name. */
static int32_t find_node(const nib_graph *planned, const nib_node *source) {
  int32_t best = NIB_NONE;
  int best_likeness = 0;
  for (int32_t i = 0; i < planned->n_nodes; ++i) {
    const nib_node *n = &planned->nodes[i];
    const bool index = same_source(n, source), op = n->op == source->op;
    const bool name = source->name[0] && strcmp(n->name, source->name) == 0;
    const int likeness = index && op                          ? 4
                         : index && name && !is_layout(n->op) ? 3
                         : index && name                      ? 2
                         : op && name                         ? 1
                                                              : 0;
    if (likeness > best_likeness) {
      best_likeness = likeness;
      best = i;
    }
  }
  return best;
}

static bool keeps_codes(nib_op op) {
  return op == NIB_OP_TRANSPOSE || op == NIB_OP_RESHAPE || op == NIB_OP_SQUEEZE ||
         op == NIB_OP_EXPAND_DIMS || op == NIB_OP_SCAST || op == NIB_OP_RELU || op == NIB_OP_CLAMP;
}

/* The precision that the source asks of an operator: its result's format; for a float operator
 * whose result is quantized next (ONNX QDQ), the format it is quantized to. */
static nib_format requested_format(const nib_graph *g, const nib_node *n) {
  const nib_format own = g->tensors[n->out].format;
  if (own != NIB_F32 || n->op == NIB_OP_DEQUANTIZE)
    return own;
  int32_t tensor = n->out, user = NIB_NONE;
  for (int32_t hops = 0; hops < g->n_nodes; ++hops) {
    if (nib_graph_count_uses(g, tensor, &user) != 1)
      return own;
    const nib_node *next = &g->nodes[user];
    if (next->op == NIB_OP_QUANTIZE)
      return g->tensors[next->out].format;
    if (!keeps_codes(next->op))
      return own;
    tensor = next->out;
  }
  return own;
}

static bool is_float(const char *format) { return format[0] == 'f'; }

static operator_fate fate_of(const nibc_session *s, const nib_node *source) {
  const nib_graph *g = s->planned;
  operator_fate fate = {NULL, NULL, NULL, find_node(g, source)};
  fate.requested = nib_format_get(requested_format(s->imported, source))->name;
  if (fate.node == NIB_NONE) {
    fate.realised = fate.requested; // absorbed into a neighbour without a change of precision
    return fate;
  }
  const nib_node *n = &g->nodes[fate.node];
  fate.realised = nib_format_get(g->tensors[n->out].format)->name;
  if (is_float(fate.requested) && !is_float(fate.realised))
    fate.requested = fate.realised; // inside a QDQ island, which means integer arithmetic
  if (n->kernel >= 0 && n->kernel < g->n_kernels)
    fate.kernel = &g->kernels[n->kernel];
  return fate;
}

nib_status nibc_report_check_limits(const nibc_session *s) {
  const nibc_options *o = s->options;
  nib_status status = NIB_OK;
  if (o->max_arena_bytes >= 0 && s->planned->arena_bytes > o->max_arena_bytes)
    status = nibc_fail(NIB_ERROR_LIMIT, "the arena needs %lld bytes, --max-arena allows %lld",
                       (long long)s->planned->arena_bytes, (long long)o->max_arena_bytes);
  for (int32_t i = 0; o->no_fallback && i < s->imported->n_nodes; ++i) {
    const nib_node *n = &s->imported->nodes[i];
    const operator_fate fate = fate_of(s, n);
    if (strcmp(fate.requested, fate.realised) != 0)
      status = nibc_fail(NIB_ERROR_LIMIT, "operator %d (%s '%s') runs in %s, %s was asked",
                         n->source_index, nib_op_get(n->op)->mnemonic, n->name, fate.realised,
                         fate.requested);
  }
  return status;
}

/* Work of all nodes of the source operator that node `index` stands for. */
static void count_source_work(const nib_graph *g, int32_t index, int64_t *out_macs,
                              int64_t *out_bytes) {
  nibc_count_work(g, &index, 1, out_macs, out_bytes);
  for (int32_t k = 0; k < g->n_nodes; ++k)
    if (k != index && same_source(&g->nodes[index], &g->nodes[k])) {
      int64_t macs, bytes;
      nibc_count_work(g, &k, 1, &macs, &bytes);
      *out_macs += macs;
      *out_bytes += bytes;
    }
}

static cJSON *operator_json(const nibc_session *s, int32_t index) {
  const nib_node *n = &s->imported->nodes[index];
  const operator_fate fate = fate_of(s, n);
  int64_t macs, bytes;
  count_source_work(s->imported, index, &macs, &bytes);
  cJSON *j = cJSON_CreateObject();
  cJSON_AddNumberToObject(j, "index", n->source_index >= 0 ? n->source_index : index);
  cJSON_AddStringToObject(j, "operator", nib_op_get(n->op)->mnemonic);
  cJSON_AddStringToObject(j, "name", n->name);
  cJSON_AddStringToObject(j, "requested_precision", fate.requested);
  cJSON_AddStringToObject(j, "realised_precision", fate.realised);
  if (fate.kernel) {
    cJSON_AddStringToObject(j, "kernel", fate.kernel->name);
    cJSON_AddStringToObject(j, "schedule", or_dash(fate.kernel->schedule));
    cJSON_AddStringToObject(j, "vocabulary", or_dash(fate.kernel->vocab));
  } else {
    cJSON_AddNullToObject(j, "kernel");
    cJSON_AddStringToObject(j, "why_no_kernel", fate.node == NIB_NONE ? "absorbed" : "view");
  }
  cJSON_AddNumberToObject(j, "macs", (double)macs);
  cJSON_AddNumberToObject(j, "bytes", (double)bytes);
  return j;
}

/* How a CUDA kernel is launched, and what it uses where ptxas said so. */
static nib_status add_launch(cJSON *j, const nibc_session *s, int32_t index,
                             const nibc_cuda_build *b) {
  nib_launch launch;
  NIB_RETURN_IF_ERROR(nibc_cuda_launch(s, index, &launch));
  cJSON *grid = cJSON_AddArrayToObject(j, "grid");
  for (int i = 0; i < 3; ++i)
    cJSON_AddItemToArray(grid, cJSON_CreateNumber(launch.grid[i] ? (double)launch.grid[i] : 1));
  cJSON_AddNumberToObject(j, "threads", launch.threads);
  cJSON_AddNumberToObject(j, "dynamic_shared_bytes", (double)launch.shared_bytes);
  const nibc_cuda_kernel *k = nibc_cuda_find(s, index, b);
  if (!k)
    return NIB_OK;
  cJSON_AddNumberToObject(j, "registers", k->registers);
  cJSON_AddNumberToObject(j, "static_shared_bytes", (double)k->shared_bytes);
  cJSON_AddNumberToObject(j, "spill_bytes", (double)k->spill_bytes);
  return NIB_OK;
}

static cJSON *kernel_json(const nib_graph *g, const nib_kernel *k) {
  int64_t macs, bytes;
  count_kernel(g, k, &macs, &bytes);
  cJSON *j = cJSON_CreateObject();
  cJSON_AddStringToObject(j, "name", k->name);
  cJSON *operators = cJSON_AddArrayToObject(j, "operators");
  for (int32_t i = 0; i < k->n_nodes; ++i)
    cJSON_AddItemToArray(operators,
                         cJSON_CreateString(nib_op_get(g->nodes[k->nodes[i]].op)->mnemonic));
  cJSON_AddStringToObject(j, "schedule", or_dash(k->schedule));
  cJSON_AddStringToObject(j, "vocabulary", or_dash(k->vocab));
  cJSON *tile = cJSON_AddArrayToObject(j, "tile");
  for (int i = 0; i < NIB_MAX_TILE; ++i)
    cJSON_AddItemToArray(tile, cJSON_CreateNumber(k->tile[i]));
  cJSON_AddNumberToObject(j, "macs", (double)macs);
  cJSON_AddNumberToObject(j, "bytes", (double)bytes);
  cJSON_AddNumberToObject(j, "parts", k->parts > 1 ? k->parts : 1);
  cJSON_AddNumberToObject(j, "scratch_bytes", (double)k->scratch_bytes);
  cJSON_AddNumberToObject(j, "predicted_ns", k->predicted_ns);
  cJSON *inner = cJSON_AddArrayToObject(j, "inside");
  for (int32_t i = 0; i + 1 < k->n_nodes; ++i) {
    const nib_tensor *t = &g->tensors[g->nodes[k->nodes[i]].out];
    cJSON *tensor = cJSON_CreateObject();
    cJSON_AddStringToObject(tensor, "name", t->name);
    cJSON_AddNumberToObject(tensor, "bytes", (double)nib_tensor_bytes(t));
    cJSON_AddItemToArray(inner, tensor);
  }
  nib_kernel_desc body = {0};
  if (nib_kernel_desc_set_body(&body, g, k->nodes, k->n_nodes) == NIB_OK)
    cJSON_AddStringToObject(j, "body", body.body);
  nib_kernel_desc_free(&body);
  return j;
}

static void add_totals(cJSON *root, const nibc_session *s, const nibc_code_size *size) {
  const nib_graph *g = s->planned;
  double macs = 0, bytes = 0, ns = 0;
  for (int32_t i = 0; i < g->n_kernels; ++i) {
    int64_t kernel_macs, kernel_bytes;
    count_kernel(g, &g->kernels[i], &kernel_macs, &kernel_bytes);
    macs += (double)kernel_macs;
    bytes += (double)kernel_bytes;
    ns += g->kernels[i].predicted_ns;
  }
  cJSON *t = cJSON_AddObjectToObject(root, "totals");
  cJSON_AddNumberToObject(t, "kernels", g->n_kernels);
  cJSON_AddNumberToObject(t, "macs", macs);
  cJSON_AddNumberToObject(t, "bytes", bytes);
  cJSON_AddNumberToObject(t, "predicted_ns", ns);
  cJSON_AddNumberToObject(t, "arena_bytes", (double)g->arena_bytes);
  cJSON_AddNumberToObject(t, "arena_lower_bound_bytes", (double)g->lower_bound_bytes);
  cJSON_AddNumberToObject(t, "arena_unfused_lower_bound_bytes",
                          (double)g->unfused_lower_bound_bytes);
  cJSON_AddNumberToObject(t, "arena_proven_bound_bytes", (double)g->proven_bound_bytes);
  cJSON_AddBoolToObject(t, "arena_is_optimal", g->arena_bytes == g->proven_bound_bytes);
  cJSON_AddNumberToObject(t, "constant_bytes", (double)nibc_count_weights(g));
  if (size->weights_bytes >= 0)
    cJSON_AddNumberToObject(t, "weights_bytes", (double)size->weights_bytes);
  if (size->code_bytes >= 0)
    cJSON_AddNumberToObject(t, "code_bytes", (double)size->code_bytes);
  if (size->text_bytes >= 0) {
    cJSON_AddNumberToObject(t, "text_bytes", (double)size->text_bytes);
    cJSON_AddNumberToObject(t, "rodata_bytes", (double)size->rodata_bytes);
    cJSON_AddNumberToObject(t, "data_bytes", (double)size->data_bytes);
    cJSON_AddStringToObject(t, "undefined_symbols", size->undefined ? size->undefined : "");
  }
  if (size->stack_bytes >= 0)
    cJSON_AddNumberToObject(t, "stack_bytes", (double)size->stack_bytes);
}

static const nib_tensor *find_constant(const nib_graph *g, const char *name) {
  for (int32_t i = 0; i < g->n_tensors; ++i)
    if (g->tensors[i].data && strcmp(g->tensors[i].name, name) == 0)
      return &g->tensors[i];
  return NULL;
}

static bool is_weight(const nib_graph *g, int32_t tensor) {
  for (int32_t i = 0; i < g->n_nodes; ++i)
    for (int32_t slot = 0; slot < 2 && slot < g->nodes[i].n_in; ++slot)
      if (g->nodes[i].in[slot] == tensor && nib_is_weight(g, &g->nodes[i], slot))
        return true;
  return false;
}

/* Weights that --weight-format names: what was asked, what they are now, what they lose. */
static void add_weights(cJSON *root, const nibc_session *s) {
  char *text = nibc_weight_formats(s->options);
  nib_weight_rules rules = {0};
  if (!text || !s->quantized || nib_weight_rules_parse(text, &rules, nibc_diag()) != NIB_OK) {
    free(text);
    return;
  }
  cJSON *weights = cJSON_AddArrayToObject(root, "weights");
  for (int32_t i = 0; i < s->imported->n_tensors; ++i) {
    const nib_tensor *from = &s->imported->tensors[i],
                     *to = find_constant(s->quantized, from->name);
    const int rule = nib_weight_rules_find(&rules, from->name);
    if (!from->data || !to || rule < 0 || !is_weight(s->imported, i))
      continue;
    cJSON *j = cJSON_CreateObject();
    cJSON_AddStringToObject(j, "name", from->name);
    cJSON_AddStringToObject(j, "source_format", nib_format_get(from->format)->name);
    cJSON_AddStringToObject(j, "requested_format", nib_format_get(rules.rows[rule].format)->name);
    cJSON_AddStringToObject(j, "realised_format", nib_format_get(to->format)->name);
    cJSON_AddNumberToObject(j, "source_bytes", (double)from->data_bytes);
    cJSON_AddNumberToObject(j, "bytes", (double)to->data_bytes);
    const double sqnr = nib_weight_sqnr_db(from, to);
    if (isfinite(sqnr))
      cJSON_AddNumberToObject(j, "sqnr_db", sqnr);
    else
      cJSON_AddNullToObject(j, "sqnr_db");
    cJSON_AddItemToArray(weights, j);
  }
  nib_weight_rules_free(&rules);
  free(text);
}

nib_status nibc_report_write(const char *path, const nibc_session *s, const nibc_code_size *size) {
  const nibc_options *o = s->options;
  cJSON *root = cJSON_CreateObject();
  cJSON_AddStringToObject(root, "nibc", NIBC_VERSION);
  cJSON_AddStringToObject(root, "model", s->name);
  cJSON_AddStringToObject(root, "target", s->target.spec);
  cJSON_AddStringToObject(root, "rounding",
                          s->imported->rounding ? s->imported->rounding : "nearest-even");
  cJSON_AddStringToObject(root, "precision", o->precision ? o->precision : "source");
  cJSON *operators = cJSON_AddArrayToObject(root, "operators");
  for (int32_t i = 0; i < s->imported->n_nodes; ++i)
    if (stands_for_source(s->imported, i))
      cJSON_AddItemToArray(operators, operator_json(s, i));
  cJSON *kernels = cJSON_AddArrayToObject(root, "kernels");
  nib_status explained = NIB_OK;
  for (int32_t i = 0; i < s->planned->n_kernels; ++i) {
    cJSON *kernel = kernel_json(s->planned, &s->planned->kernels[i]);
    cJSON_AddItemToArray(kernels, kernel);
    if (nib_target_is_cuda(&s->target) && explained == NIB_OK)
      explained = add_launch(kernel, s, i, &size->cuda);
    if (o->explain && explained == NIB_OK)
      explained = nibc_explain_add(kernel, s, &s->planned->kernels[i]);
  }
  add_weights(root, s);
  if (o->activation_format)
    cJSON_AddStringToObject(root, "activation_format", o->activation_format);
  if (o->decode_weights)
    cJSON_AddStringToObject(root, "decode_weights", o->decode_weights);
  add_totals(root, s, size);
  char *text = explained == NIB_OK ? cJSON_Print(root) : NULL;
  cJSON_Delete(root);
  if (explained != NIB_OK)
    return explained;
  if (!text)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory", path);
  const size_t length = strlen(text);
  text[length] = '\n'; // over the NUL: written by length
  const nib_status status = nibc_file_write(path, text, length + 1);
  free(text);
  return status;
}
