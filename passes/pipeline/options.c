/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Defaults of the options that both doors share. */
#include "pipeline/stages.h"

nib_options nib_options_default(void) {
  const nib_options o = {
      .target = "c99",
      .name = NULL,
      .out_dir = ".",
      .rounding = NULL,
      .cost_model = "analytic",
      .weights = "words",
      .max_arena_bytes = -1,
      .threads = 1,
      .no_fallback = false,
      .size = false,
      .check_c = true,
  };
  return o;
}
