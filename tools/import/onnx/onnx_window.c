/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Windows that slide over spatial dimensions: kernel, strides, dilations and pads of convolutions
 * and pooling, as the file says them, and the size of the result. */
#include "onnx_internal.h"

#include <inttypes.h>
#include <string.h>

#define MAX_EXTENT (INT64_C(1) << 30)

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

/* Padding and size along one dimension: `begin` and `end` come in as the file says. `end` grows
 * where ceil_mode adds a window that reaches beyond. */
static nib_status place_window(nib_onnx_node *n, const char *auto_pad, int64_t in, int64_t extent,
                               int64_t stride, bool ceil_mode, int64_t *begin, int64_t *end,
                               int64_t *out, bool *grown) {
  bool same_upper = !strcmp(auto_pad, "SAME_UPPER"), same_lower = !strcmp(auto_pad, "SAME_LOWER");
  if (same_upper || same_lower) {
    *out = divide_up(in, stride);
    int64_t total = (*out - 1) * stride + extent - in;
    total = total < 0 ? 0 : total;
    *begin = same_upper ? total / 2 : total - total / 2;
    *end = total - *begin;
    return NIB_OK;
  }
  if (!strcmp(auto_pad, "VALID"))
    *begin = *end = 0;
  else if (strcmp(auto_pad, "NOTSET"))
    return nib_onnx_invalid(n, "auto_pad '%.40s' does not exist", auto_pad);
  int64_t room = in + *begin + *end - extent;
  if (room < 0)
    return nib_onnx_invalid(n,
                            "the kernel spans %" PRId64 " elements, its padded input has %" PRId64,
                            extent, in + *begin + *end);
  *out = room / stride + 1;
  if (ceil_mode && room % stride) {
    /* One more window, unless it would begin in the padding behind the input. */
    if (*out * stride < in + *begin) {
      *end += stride - room % stride;
      *out += 1;
      *grown = true;
    }
  }
  return NIB_OK;
}

nib_status nib_onnx_read_windows(nib_onnx_node *n, const int64_t *in, int32_t spatial,
                                 const int64_t *kernel_if_absent, nib_onnx_windows *w) {
  if (spatial < 1 || spatial > NIB_ONNX_MAX_SPATIAL)
    return nib_onnx_unsupported(n, "%d spatial dimensions, only 1 to %d are supported", spatial,
                                NIB_ONNX_MAX_SPATIAL);
  int64_t pads[2 * NIB_ONNX_MAX_SPATIAL];
  *w = (nib_onnx_windows){.spatial = spatial};
  if (!kernel_if_absent && !nib_onnx_attr(n, "kernel_shape"))
    return nib_onnx_invalid(n, "it has no kernel_shape");
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "kernel_shape", spatial, 0, w->kernel));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "strides", spatial, 1, w->strides));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "dilations", spatial, 1, w->dilations));
  NIB_RETURN_IF_ERROR(nib_onnx_attr_ints(n, "pads", 2 * spatial, 0, pads));
  const char *auto_pad = nib_onnx_attr_string(n, "auto_pad", "NOTSET");
  bool ceil_mode = nib_onnx_attr_int(n, "ceil_mode", 0) != 0;
  for (int32_t i = 0; i < spatial; ++i) {
    if (!nib_onnx_attr(n, "kernel_shape"))
      w->kernel[i] = kernel_if_absent[i];
    else if (kernel_if_absent && w->kernel[i] != kernel_if_absent[i])
      return nib_onnx_invalid(n, "kernel_shape differs from the shape of its filter");
    if (w->kernel[i] < 1 || w->kernel[i] > MAX_EXTENT || w->strides[i] < 1 ||
        w->strides[i] > MAX_EXTENT || w->dilations[i] < 1 || w->dilations[i] > MAX_EXTENT ||
        in[i] > MAX_EXTENT)
      return nib_onnx_invalid(n, "its kernel, strides or dilations are out of range");
    if (pads[i] < 0 || pads[spatial + i] < 0)
      return nib_onnx_unsupported(n, "negative pads");
    if (pads[i] > MAX_EXTENT || pads[spatial + i] > MAX_EXTENT)
      return nib_onnx_invalid(n, "its pads are out of range");
    w->low[i] = pads[i];
    w->high[i] = pads[spatial + i];
    NIB_RETURN_IF_ERROR(place_window(n, auto_pad, in[i], (w->kernel[i] - 1) * w->dilations[i] + 1,
                                     w->strides[i], ceil_mode, &w->low[i], &w->high[i], &w->out[i],
                                     &w->grown));
    /* Where the padding ends without what ceil_mode added. */
    w->padded_end[i] =
        in[i] + (w->grown && !strncmp(auto_pad, "NOTSET", 6) ? pads[spatial + i] : w->high[i]);
  }
  return NIB_OK;
}

nib_status nib_onnx_read_window(nib_onnx_node *n, const int64_t *in, int32_t spatial,
                                const int64_t *kernel_if_absent, nib_onnx_window *w) {
  if (spatial < 1 || spatial > 2)
    return nib_onnx_unsupported(n, "%d spatial dimensions, only 1 and 2 are supported", spatial);
  nib_onnx_windows all;
  NIB_RETURN_IF_ERROR(nib_onnx_read_windows(n, in, spatial, kernel_if_absent, &all));
  *w = (nib_onnx_window){.spatial = spatial,
                         .kernel = {1, 1},
                         .strides = {1, 1},
                         .dilations = {1, 1},
                         .out = {1, 1},
                         .grown = all.grown};
  for (int32_t i = 0; i < spatial; ++i) {
    const int32_t at = 2 - spatial + i;
    w->kernel[at] = all.kernel[i];
    w->strides[at] = all.strides[i];
    w->dilations[at] = all.dilations[i];
    w->pads[at] = all.low[i];
    w->pads[2 + at] = all.high[i];
    w->out[at] = all.out[i];
  }
  return NIB_OK;
}
