/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RNN, GRU and LSTM: the steps of the sequence are written out one after the other, since every
 * length is known. The inputs' part of all gates and steps is one product. */
#include "onnx_build.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MAX_STEPS 512 /* of both directions together; each is some ten operators */
#define MAX_ACTIVATIONS 6

typedef struct activation {
  char name[24];
  double alpha, beta;
} activation;

/* A layer, and one direction of it while that is written. */
typedef struct layer {
  nib_onnx_node *n;
  nib_format format;
  int64_t steps, batch, inputs, hidden, gates;
  int32_t directions;
  bool batchwise; /* layout 1 */
  double clip;    /* 0: none */
  activation activations[MAX_ACTIVATIONS];
  int32_t n_activations; /* for each direction */
  /* one direction */
  const activation *use;
  int32_t in_gates;  /* [steps, batch, gates * hidden] */
  int32_t r, r_bias; /* recurrence weights and their bias; bias: or NIB_ONNX_ABSENT */
  int32_t peepholes; /* [3 * hidden], or NIB_ONNX_ABSENT */
  int32_t h, c;      /* [batch, hidden] */
} layer;

/* ---- activations ---- */

typedef struct known_activation {
  const char *name;
  int parameters;
  double alpha, beta; /* if not given */
} known_activation;

static const known_activation known[] = {
    {"Relu", 0, 0, 0},
    {"Tanh", 0, 0, 0},
    {"Sigmoid", 0, 0, 0},
    {"Softsign", 0, 0, 0},
    {"Softplus", 0, 0, 0},
    {"LeakyRelu", 1, 0.01, 0},
    {"Elu", 1, 1, 0},
    {"Affine", 2, 1, 0},
    {"ThresholdedRelu", 1, 1, 0},
    {"ScaledTanh", 2, 1, 1},
    {"HardSigmoid", 2, 0.2, 0.5},
};

static const known_activation *find_activation(const char *name) {
  for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
    if (!strcmp(known[i].name, name))
      return &known[i];
  return NULL;
}

/* The names from the file or the defaults; parameters go to those that have some, in order. */
static nib_status read_activations(layer *l, const char *const *defaults, int32_t count) {
  nib_onnx_node *n = l->n;
  const Onnx__AttributeProto *names = nib_onnx_attr(n, "activations");
  const Onnx__AttributeProto *alphas = nib_onnx_attr(n, "activation_alpha");
  const Onnx__AttributeProto *betas = nib_onnx_attr(n, "activation_beta");
  const int32_t total = count * l->directions;
  size_t alpha = 0, beta = 0;
  if (names && names->n_strings != (size_t)total)
    return nib_onnx_invalid(n, "%zu activations, not %d", names->n_strings, total);
  l->n_activations = count;
  for (int32_t i = 0; i < total; ++i) {
    activation *a = &l->activations[i];
    const char *from = defaults[i % count];
    size_t size = strlen(from);
    if (names) {
      from = (const char *)names->strings[i].data;
      size = names->strings[i].len;
    }
    size = size < sizeof a->name ? size : sizeof a->name - 1;
    if (size)
      memcpy(a->name, from, size);
    a->name[size] = '\0';
    const known_activation *k = find_activation(a->name);
    if (!k)
      return nib_onnx_unsupported(n, "activation '%s'", a->name);
    a->alpha = k->alpha;
    a->beta = k->beta;
    if (k->parameters > 0 && alphas && alpha < alphas->n_floats)
      a->alpha = (double)alphas->floats[alpha++];
    if (k->parameters > 1 && betas && beta < betas->n_floats)
      a->beta = (double)betas->floats[beta++];
  }
  return NIB_OK;
}

static int32_t line(nib_onnx_node *n, int32_t x, double alpha, double beta) {
  return nib_onnx_with(n, NIB_OP_ADD, nib_onnx_with(n, NIB_OP_MUL, x, alpha), beta);
}

/* x where it is above alpha, else 0 */
static int32_t above(nib_onnx_node *n, int32_t x, double alpha, nib_format format) {
  const int32_t open = nib_onnx_compared(n, NIB_OP_LESS, nib_onnx_number(n, format, alpha), x);
  return nib_onnx_chosen(n, open, x, nib_onnx_number(n, format, 0));
}

/* Activation `which` of the direction on x, clipped before. */
static int32_t activate(layer *l, int32_t which, int32_t x) {
  nib_onnx_node *n = l->n;
  const activation *a = &l->use[which];
  if (l->clip > 0)
    x = nib_onnx_clamped(n, x, -l->clip, l->clip);
  if (!strcmp(a->name, "Sigmoid"))
    return nib_onnx_unary(n, NIB_OP_SIGMOID, x);
  if (!strcmp(a->name, "Tanh"))
    return nib_onnx_unary(n, NIB_OP_TANH, x);
  if (!strcmp(a->name, "Relu"))
    return nib_onnx_unary(n, NIB_OP_RELU, x);
  if (!strcmp(a->name, "Softsign"))
    return nib_onnx_unary(n, NIB_OP_SOFTSIGN, x);
  if (!strcmp(a->name, "Softplus"))
    return nib_onnx_unary(n, NIB_OP_SOFTPLUS, x);
  if (!strcmp(a->name, "Affine"))
    return line(n, x, a->alpha, a->beta);
  if (!strcmp(a->name, "HardSigmoid"))
    return nib_onnx_clamped(n, line(n, x, a->alpha, a->beta), 0, 1);
  if (!strcmp(a->name, "ScaledTanh"))
    return nib_onnx_with(n, NIB_OP_MUL,
                         nib_onnx_unary(n, NIB_OP_TANH, nib_onnx_with(n, NIB_OP_MUL, x, a->beta)),
                         a->alpha);
  if (!strcmp(a->name, "ThresholdedRelu"))
    return above(n, x, a->alpha, l->format);
  const int32_t negative = nib_onnx_with(n, NIB_OP_MINIMUM, x, 0);
  const int32_t below = !strcmp(a->name, "Elu") ? nib_onnx_unary(n, NIB_OP_EXPM1, negative)
                                                : negative; /* LeakyRelu */
  return nib_onnx_binary(n, NIB_OP_ADD, nib_onnx_unary(n, NIB_OP_RELU, x),
                         nib_onnx_with(n, NIB_OP_MUL, below, a->alpha));
}

/* ---- the layer ---- */

static nib_status check_shape(nib_onnx_node *n, size_t input, int32_t rank, const int64_t *dims) {
  const nib_onnx_value *v = nib_onnx_input(n, input);
  if (v && (v->rank != rank || memcmp(v->dims, dims, (size_t)rank * sizeof *dims)))
    return nib_onnx_invalid(n, "input %zu '%.100s' has another shape than the others give", input,
                            v->name);
  return NIB_OK;
}

static nib_status check_states(const layer *l, size_t last) {
  const int64_t by_step[] = {l->directions, l->batch, l->hidden};
  const int64_t by_batch[] = {l->batch, l->directions, l->hidden};
  const nib_onnx_value *lengths = nib_onnx_input(l->n, 4);
  for (size_t i = 5; i <= last; ++i)
    NIB_RETURN_IF_ERROR(check_shape(l->n, i, 3, l->batchwise ? by_batch : by_step));
  if (lengths && lengths->format != NIB_I32)
    return nib_onnx_invalid(l->n, "its sequence_lens are not int32");
  return check_shape(l->n, 4, 1, &l->batch);
}

/* Shapes of the operands; `gates` of them, states up to input `last_state`. */
static nib_status read_layer(nib_onnx_node *n, layer *l, int64_t gates, size_t last_state) {
  const nib_onnx_value *x = nib_onnx_input(n, 0), *r = nib_onnx_input(n, 2);
  const char *direction = nib_onnx_attr_string(n, "direction", "forward");
  const bool both = !strcmp(direction, "bidirectional");
  if (!both && strcmp(direction, "forward") && strcmp(direction, "reverse"))
    return nib_onnx_invalid(n, "direction '%.40s' does not exist", direction);
  for (size_t i = 0; i < n->proto->n_input; ++i)
    if (i != 4 && nib_onnx_input(n, i))
      NIB_RETURN_IF_ERROR(nib_onnx_require_real(n, nib_onnx_input(n, i)));
  if (x->rank != 3 || r->rank != 3)
    return nib_onnx_invalid(n, "its input and weights have not 3 dimensions");
  *l = (layer){.n = n, .format = x->format, .gates = gates, .directions = both ? 2 : 1};
  l->batchwise = nib_onnx_attr_int(n, "layout", 0) != 0;
  l->steps = x->dims[l->batchwise ? 1 : 0];
  l->batch = x->dims[l->batchwise ? 0 : 1];
  l->inputs = x->dims[2];
  l->hidden = r->dims[2];
  l->clip = (double)nib_onnx_attr_float(n, "clip", 0.0f);
  if (nib_onnx_attr_int(n, "hidden_size", l->hidden) != l->hidden)
    return nib_onnx_invalid(n, "hidden_size is not that of its weights");
  if (l->steps * l->directions > MAX_STEPS)
    return nib_onnx_unsupported(n, "%" PRId64 " steps; at most %d are written out",
                                l->steps * l->directions, MAX_STEPS);
  const int64_t w[] = {l->directions, gates * l->hidden, l->inputs};
  const int64_t recurrence[] = {l->directions, gates * l->hidden, l->hidden};
  const int64_t bias[] = {l->directions, 2 * gates * l->hidden};
  NIB_RETURN_IF_ERROR(check_shape(n, 1, 3, w));
  NIB_RETURN_IF_ERROR(check_shape(n, 2, 3, recurrence));
  NIB_RETURN_IF_ERROR(check_shape(n, 3, 2, bias));
  return check_states(l, last_state);
}

/* Part `d` of dimension 0 of input `i`, without that dimension. */
static int32_t of_direction(layer *l, size_t i, int32_t d) {
  int32_t t = nib_onnx_part(l->n, nib_onnx_in(l->n, i), 0, d, 1, 1);
  return t == NIB_NONE ? NIB_NONE
                       : nib_onnx_reshaped(l->n, t, nib_onnx_tensor(l->n, t)->rank - 1,
                                           nib_onnx_tensor(l->n, t)->dims + 1);
}

/* x [rows, k] times w [columns, k], plus a bias [columns] unless that is absent. */
static int32_t dense(layer *l, int32_t x, int32_t w, int32_t bias) {
  if (x == NIB_NONE || w == NIB_NONE)
    return NIB_NONE;
  const int32_t in[] = {x, w, bias};
  const int64_t dims[] = {nib_onnx_dim(l->n, x, 0), nib_onnx_dim(l->n, w, 0)};
  const int32_t node =
      nib_onnx_emit(l->n, NIB_OP_FULLY_CONNECTED, in, bias < 0 ? 2 : 3, x, 2, dims, "");
  return node == NIB_NONE ? NIB_NONE : l->n->ctx->graph->nodes[node].out;
}

/* The initial state from input `i`, or zeros: [batch, hidden]. */
static int32_t initial_state(layer *l, size_t i, int32_t d) {
  nib_onnx_node *n = l->n;
  const int64_t dims[] = {l->batch, l->hidden};
  if (!nib_onnx_input(n, i))
    return nib_onnx_constant(n, l->format, 2, dims, nib_onnx_doubles(n, l->batch * l->hidden));
  int32_t t = nib_onnx_part(n, nib_onnx_in(n, i), l->batchwise ? 1 : 0, d, 1, 1);
  return nib_onnx_reshaped(n, t, 2, dims);
}

/* The two biases of a direction: of the inputs and of the recurrence. `apart` of the last rows of
 * the second stay there, the others join the first. */
static void place_bias(layer *l, int32_t d, int64_t apart, int32_t *out_in, int32_t *out_r) {
  nib_onnx_node *n = l->n;
  const int64_t size = l->gates * l->hidden;
  *out_in = *out_r = NIB_ONNX_ABSENT;
  if (!nib_onnx_input(n, 3))
    return;
  const int32_t all = of_direction(l, 3, d);
  int32_t joined = nib_onnx_part(n, all, 0, size, size, 1);
  if (apart > 0) {
    const int64_t low[NIB_MAX_RANK] = {0}, high[NIB_MAX_RANK] = {apart};
    const int64_t before[NIB_MAX_RANK] = {size - apart}, none[NIB_MAX_RANK] = {0};
    *out_r =
        nib_onnx_padded(n, nib_onnx_part(n, joined, 0, size - apart, apart, 1), before, none, 0);
    joined = nib_onnx_padded(n, nib_onnx_part(n, joined, 0, 0, size - apart, 1), low, high, 0);
  }
  *out_in = nib_onnx_binary(n, NIB_OP_ADD, nib_onnx_part(n, all, 0, 0, size, 1), joined);
}

static nib_status open_direction(layer *l, int32_t d, int64_t apart) {
  nib_onnx_node *n = l->n;
  int32_t bias;
  place_bias(l, d, apart, &bias, &l->r_bias);
  if (nib_onnx_input(n, 3) && bias == NIB_NONE)
    return n->ctx->failure;
  const int64_t rows[] = {l->steps * l->batch, l->inputs};
  const int64_t gates[] = {l->steps, l->batch, l->gates * l->hidden};
  int32_t x = nib_onnx_in(n, 0);
  x = l->batchwise ? nib_onnx_swapped(n, x, 0, 1) : x;
  x = dense(l, nib_onnx_reshaped(n, x, 2, rows), of_direction(l, 1, d), bias);
  l->in_gates = nib_onnx_reshaped(n, x, 3, gates);
  l->r = of_direction(l, 2, d);
  l->h = initial_state(l, 5, d);
  l->use = l->activations + d * l->n_activations;
  return l->in_gates == NIB_NONE || l->r == NIB_NONE || l->h == NIB_NONE ? n->ctx->failure : NIB_OK;
}

/* The inputs' part of the gates in step t: [batch, gates * hidden]. */
static int32_t gates_at(layer *l, int64_t t) {
  const int64_t dims[] = {l->batch, l->gates * l->hidden};
  return nib_onnx_reshaped(l->n, nib_onnx_part(l->n, l->in_gates, 0, t, 1, 1), 2, dims);
}

static int32_t gate(layer *l, int32_t all, int64_t which, int64_t count) {
  return nib_onnx_part(l->n, all, 1, which * l->hidden, count * l->hidden, 1);
}

/* ---- the three cells: they set h (and c) ---- */

static void step_rnn(layer *l, int64_t t) {
  const int32_t sum =
      nib_onnx_binary(l->n, NIB_OP_ADD, gates_at(l, t), dense(l, l->h, l->r, l->r_bias));
  l->h = activate(l, 0, sum);
}

/* Gates z, r, h. */
static void step_gru(layer *l, int64_t t) {
  nib_onnx_node *n = l->n;
  const bool before_reset = nib_onnx_attr_int(n, "linear_before_reset", 0) != 0;
  const int32_t in = gates_at(l, t), size = (int32_t)l->hidden;
  int32_t rec, candidate;
  if (before_reset)
    rec = dense(l, l->h, l->r, l->r_bias);
  else
    rec = dense(l, l->h, nib_onnx_part(n, l->r, 0, 0, 2 * size, 1), NIB_ONNX_ABSENT);
  const int32_t zr = nib_onnx_binary(n, NIB_OP_ADD, gate(l, in, 0, 2), gate(l, rec, 0, 2));
  const int32_t both = activate(l, 0, zr);
  const int32_t z = gate(l, both, 0, 1), r = gate(l, both, 1, 1);
  if (before_reset)
    candidate = nib_onnx_binary(n, NIB_OP_MUL, r, gate(l, rec, 2, 1));
  else
    candidate = dense(l, nib_onnx_binary(n, NIB_OP_MUL, r, l->h),
                      nib_onnx_part(n, l->r, 0, 2 * size, size, 1), NIB_ONNX_ABSENT);
  candidate = activate(l, 1, nib_onnx_binary(n, NIB_OP_ADD, gate(l, in, 2, 1), candidate));
  /* (1 - z) candidate + z h */
  const int32_t change =
      nib_onnx_binary(n, NIB_OP_MUL, z, nib_onnx_binary(n, NIB_OP_SUB, l->h, candidate));
  l->h = nib_onnx_binary(n, NIB_OP_ADD, candidate, change);
}

/* x plus peephole weights `which` times c, where there are some. */
static int32_t peep(layer *l, int32_t x, int64_t which, int32_t c) {
  if (l->peepholes == NIB_ONNX_ABSENT)
    return x;
  const int32_t p = nib_onnx_part(l->n, l->peepholes, 0, which * l->hidden, l->hidden, 1);
  return nib_onnx_binary(l->n, NIB_OP_ADD, x, nib_onnx_binary(l->n, NIB_OP_MUL, c, p));
}

/* Gates i, o, f, c. */
static void step_lstm(layer *l, int64_t t) {
  nib_onnx_node *n = l->n;
  const bool coupled = nib_onnx_attr_int(n, "input_forget", 0) != 0;
  const int32_t sum =
      nib_onnx_binary(n, NIB_OP_ADD, gates_at(l, t), dense(l, l->h, l->r, l->r_bias));
  const int32_t i = activate(l, 0, peep(l, gate(l, sum, 0, 1), 0, l->c));
  int32_t f;
  if (coupled) /* 1 - i */
    f = line(n, i, -1, 1);
  else
    f = activate(l, 0, peep(l, gate(l, sum, 2, 1), 2, l->c));
  const int32_t candidate = activate(l, 1, gate(l, sum, 3, 1));
  l->c = nib_onnx_binary(n, NIB_OP_ADD, nib_onnx_binary(n, NIB_OP_MUL, f, l->c),
                         nib_onnx_binary(n, NIB_OP_MUL, i, candidate));
  const int32_t o = activate(l, 0, peep(l, gate(l, sum, 1, 1), 1, l->c));
  l->h = nib_onnx_binary(n, NIB_OP_MUL, o, activate(l, 2, l->c));
}

/* ---- the sequence ---- */

/* Whether step t is within the sequence of each example: i1 [batch, 1]. */
static int32_t is_within(layer *l, int64_t t) {
  const int64_t dims[] = {l->batch, 1};
  return nib_onnx_compared(l->n, NIB_OP_LESS, nib_onnx_number(l->n, NIB_I32, (double)t),
                           nib_onnx_reshaped(l->n, nib_onnx_in(l->n, 4), 2, dims));
}

/* All sequences whole: constant lengths that say so, or none. */
static bool is_unmasked(layer *l) {
  const nib_onnx_value *v = nib_onnx_input(l->n, 4);
  bool whole = !v || v->data;
  for (int64_t i = 0; whole && v && i < l->batch; ++i)
    whole = nib_onnx_integer_at(v, i) >= l->steps;
  return whole;
}

/* Runs the steps of one direction; `out_steps` gets [1, batch, 1, hidden] of each. */
static nib_status run_direction(layer *l, bool backwards, void (*step)(layer *, int64_t),
                                int32_t *out_steps) {
  nib_onnx_node *n = l->n;
  const bool masked = !is_unmasked(l);
  const int64_t dims[] = {1, l->batch, 1, l->hidden};
  for (int64_t i = 0; i < l->steps; ++i) {
    const int64_t t = backwards ? l->steps - 1 - i : i;
    const int32_t h = l->h, c = l->c;
    step(l, t);
    int32_t y = l->h;
    if (masked) { /* behind the end: the states stay, the output is 0 */
      const int32_t within = is_within(l, t);
      y = nib_onnx_chosen(n, within, l->h, nib_onnx_number(n, l->format, 0));
      l->h = nib_onnx_chosen(n, within, l->h, h);
      l->c = c == NIB_ONNX_ABSENT ? c : nib_onnx_chosen(n, within, l->c, c);
    }
    if (l->h == NIB_NONE || y == NIB_NONE)
      return n->ctx->failure;
    if (nib_onnx_output_is_used(n, 0))
      out_steps[t] = nib_onnx_reshaped(n, y, 4, dims);
  }
  return NIB_OK;
}

/* Y from [steps, batch, 1, hidden] of each direction. */
static nib_status finish_sequence(layer *l, const int32_t *sequences) {
  nib_onnx_node *n = l->n;
  const int32_t y = nib_onnx_concatenated(n, sequences, l->directions, 2);
  /* [steps, batch, directions, hidden] */
  return nib_onnx_finish_at(n, 0,
                            nib_onnx_swapped(n, l->batchwise ? nib_onnx_swapped(n, y, 0, 1) : y, 1,
                                             l->batchwise ? 1 : 2));
}

/* Y_h or Y_c from [batch, hidden] of each direction. */
static nib_status finish_state(layer *l, size_t output, const int32_t *states) {
  nib_onnx_node *n = l->n;
  const int64_t by_step[] = {1, l->batch, l->hidden}, by_batch[] = {l->batch, 1, l->hidden};
  int32_t parts[2];
  if (!nib_onnx_output_is_used(n, output))
    return NIB_OK;
  for (int32_t d = 0; d < l->directions; ++d)
    parts[d] = nib_onnx_reshaped(n, states[d], 3, l->batchwise ? by_batch : by_step);
  return nib_onnx_finish_at(n, output,
                            nib_onnx_concatenated(n, parts, l->directions, l->batchwise ? 1 : 0));
}

static nib_status import_layer(layer *l, void (*step)(layer *, int64_t), int64_t apart,
                               bool has_cell) {
  nib_onnx_node *n = l->n;
  const bool reverse = !strcmp(nib_onnx_attr_string(n, "direction", "forward"), "reverse");
  int32_t h[2], c[2], sequences[2];
  int32_t *steps = nib_graph_alloc(n->ctx->graph, (size_t)l->steps * sizeof *steps);
  if (!steps)
    return nib_onnx_out_of_memory(n->ctx);
  for (int32_t d = 0; d < l->directions; ++d) {
    NIB_RETURN_IF_ERROR(open_direction(l, d, apart));
    l->c = has_cell ? initial_state(l, 6, d) : NIB_ONNX_ABSENT;
    l->peepholes = has_cell && nib_onnx_input(n, 7) ? of_direction(l, 7, d) : NIB_ONNX_ABSENT;
    if ((has_cell && l->c == NIB_NONE) ||
        (has_cell && nib_onnx_input(n, 7) && l->peepholes == NIB_NONE))
      return n->ctx->failure;
    NIB_RETURN_IF_ERROR(run_direction(l, reverse || d == 1, step, steps));
    h[d] = l->h;
    c[d] = l->c;
    if (nib_onnx_output_is_used(n, 0))
      sequences[d] = nib_onnx_concatenated(n, steps, (int32_t)l->steps, 0);
  }
  if (nib_onnx_output_is_used(n, 0))
    NIB_RETURN_IF_ERROR(finish_sequence(l, sequences));
  NIB_RETURN_IF_ERROR(finish_state(l, 1, h));
  return has_cell ? finish_state(l, 2, c) : NIB_OK;
}

nib_status nib_onnx_import_rnn(nib_onnx_node *n) {
  static const char *const defaults[] = {"Tanh"};
  layer l;
  NIB_RETURN_IF_ERROR(read_layer(n, &l, 1, 5));
  NIB_RETURN_IF_ERROR(read_activations(&l, defaults, 1));
  return import_layer(&l, step_rnn, 0, false);
}

nib_status nib_onnx_import_gru(nib_onnx_node *n) {
  static const char *const defaults[] = {"Sigmoid", "Tanh"};
  layer l;
  NIB_RETURN_IF_ERROR(read_layer(n, &l, 3, 5));
  NIB_RETURN_IF_ERROR(read_activations(&l, defaults, 2));
  const bool before_reset = nib_onnx_attr_int(n, "linear_before_reset", 0) != 0;
  return import_layer(&l, step_gru, before_reset ? l.hidden : 0, false);
}

nib_status nib_onnx_import_lstm(nib_onnx_node *n) {
  static const char *const defaults[] = {"Sigmoid", "Tanh", "Tanh"};
  layer l;
  NIB_RETURN_IF_ERROR(read_layer(n, &l, 4, 6));
  const int64_t peepholes[] = {l.directions, 3 * l.hidden};
  NIB_RETURN_IF_ERROR(check_shape(n, 7, 2, peepholes));
  NIB_RETURN_IF_ERROR(read_activations(&l, defaults, 3));
  return import_layer(&l, step_lstm, 0, true);
}
