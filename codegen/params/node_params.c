/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What every operator asks: its rounding and the range of its result. */
#include "params/params.h"

#include "num/code_value.h"

#include <math.h>
#include <string.h>

bool nib_params_is_real(nib_format format) {
  return format == NIB_F32 || format == NIB_F16 || format == NIB_BF16;
}

/* tflite-double is TFLite's default build, whose fully connected kernel rounds once. */
static nib_rounding of_operator(nib_rounding rounding, nib_op op) {
  const bool once = rounding == NIB_ROUNDING_TFLITE_DOUBLE && op == NIB_OP_FULLY_CONNECTED;
  return once ? NIB_ROUNDING_TFLITE_AWAY : rounding;
}

nib_rounding nib_node_rounding(const nib_graph *g, const nib_node *n) {
  const char *name = nib_node_string(n, NIB_A_ROUNDING, NULL);
  if (!name || !name[0])
    name = g->rounding;
  const nib_rounding rounding = name ? nib_rounding_find(name) : NIB_ROUNDING_COUNT;
  return rounding == NIB_ROUNDING_COUNT ? NIB_ROUNDING_NEAREST_EVEN : of_operator(rounding, n->op);
}

/* Real bounds of the fused activations; tanh bounds nothing: it is a function, not a clamp. */
static const struct activation {
  const char *name;
  float lo, hi;
} activations[] = {
    {"none", -INFINITY, INFINITY}, {"relu", 0.0f, INFINITY},      {"relu6", 0.0f, 6.0f},
    {"relu_n1_to_1", -1.0f, 1.0f}, {"tanh", -INFINITY, INFINITY},
};

/* relu and clamp as operators are their own activation. */
static struct activation find_activation(const nib_node *n) {
  if (n->op == NIB_OP_RELU)
    return activations[1];
  if (n->op == NIB_OP_CLAMP)
    return (struct activation){"", (float)nib_node_float(n, NIB_A_MIN, -INFINITY),
                               (float)nib_node_float(n, NIB_A_MAX, INFINITY)};
  const char *name = nib_node_string(n, NIB_A_ACTIVATION, "none");
  for (size_t i = 0; i < sizeof activations / sizeof *activations; ++i)
    if (strcmp(activations[i].name, name) == 0)
      return activations[i];
  return activations[0];
}

/* Code of a real bound: f32 division by the scale; TFLite rounds ties away from zero. */
static int64_t code_of_bound(float bound, const nib_tensor *t, nib_rounding rounding, int64_t lo,
                             int64_t hi) {
  if (isinf(bound))
    return bound < 0 ? lo : hi;
  const float steps = bound / (float)t->scale;
  const float rounded = rounding == NIB_ROUNDING_NEAREST_EVEN ? rintf(steps) : roundf(steps);
  if (!(fabsf(rounded) < 9.0e15f))
    return bound < 0 ? lo : hi;
  const int64_t code = (int64_t)rounded + t->zero_point;
  return code < lo ? lo : code > hi ? hi : code;
}

void nib_params_code_range(const nib_graph *g, const nib_node *n, int64_t *out_lo,
                           int64_t *out_hi) {
  const nib_tensor *t = &g->tensors[n->out];
  int64_t min, max;
  nib_format_code_range(t->format, &min, &max);
  const nib_attr *clamp = nib_node_attr(n, NIB_A_CLAMP);
  *out_lo = min;
  *out_hi = max;
  if (clamp && clamp->u.ints.n == 2) {
    const int64_t lo = clamp->u.ints.v[0], hi = clamp->u.ints.v[1];
    *out_lo = lo < min ? min : lo > max ? max : lo;
    *out_hi = hi < min ? min : hi > max ? max : hi;
    return;
  }
  if (!t->quantized)
    return;
  const struct activation a = find_activation(n);
  const nib_rounding rounding = nib_node_rounding(g, n);
  *out_lo = code_of_bound(a.lo, t, rounding, min, max);
  *out_hi = code_of_bound(a.hi, t, rounding, min, max);
}

void nib_params_real_range(const nib_graph *g, const nib_node *n, float *out_lo, float *out_hi) {
  (void)g;
  const struct activation a = find_activation(n);
  *out_lo = a.lo;
  *out_hi = a.hi;
}
