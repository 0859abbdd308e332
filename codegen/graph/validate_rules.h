/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The rules of each operator, as one table. Private to validate*.c. */
#ifndef NIB_GRAPH_VALIDATE_RULES_H
#define NIB_GRAPH_VALIDATE_RULES_H

#include "graph/graph.h"

/** A node under check, with its operands looked up; errors are counted and reported. */
typedef struct nib_check {
  const nib_graph *g;
  const nib_diag *diag;
  int32_t index;
  const nib_node *n;
  const nib_tensor *out;
  int errors;
} nib_check;

/** Reports `operator 12 (conv2d 'name'): …`. */
void nib_check_fail(nib_check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Checks attributes, formats and shapes of a node whose operand ids and tensors are sound. */
typedef void nib_check_rule(nib_check *c);
/** NULL for an operator that has no rule. */
nib_check_rule *nib_check_rule_of(nib_op op);

#endif
