/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The table from operator to rule. */
#include "graph/validate_rules.h"

nib_check_rule *nib_check_rule_of(nib_op op) {
  (void)op;
  return NULL;
}
