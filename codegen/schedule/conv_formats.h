/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef NIB_SCHEDULE_CONV_FORMATS_H
#define NIB_SCHEDULE_CONV_FORMATS_H

#include "graph/graph.h"

/** Whether the operands of a convolution suit the vector schedules: 8-bit by 8-bit constants with
 *  an i32 bias, or all of formats that are computed in f32. */
bool nib_conv_formats_fit(const nib_graph *g, const nib_node *n);

#endif
