/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The operator and attribute tables. */
#include "graph/graph.h"

#include <string.h>

static const nib_op_info ops[NIB_OP_COUNT] = {
#define NIB_OP(ID, mnemonic, operands, results, attributes, family, work)                          \
  [NIB_OP_##ID] = {mnemonic, operands, results, attributes, NIB_FAMILY_##family, work},
#include "graph/ops.def"
#undef NIB_OP
};

static const nib_attr_info attrs[NIB_ATTR_COUNT] = {
#define X(ID, name, kind) [NIB_A_##ID] = {name, kind},
    NIB_ATTRS(X)
#undef X
};

const nib_op_info *nib_op_get(nib_op op) { return &ops[op]; }

nib_op nib_op_find(const char *mnemonic) {
  for (int i = 0; i < NIB_OP_COUNT; ++i)
    if (strcmp(ops[i].mnemonic, mnemonic) == 0)
      return (nib_op)i;
  return NIB_OP_COUNT;
}

bool nib_op_is_elementwise(nib_op op) {
  const nib_family family = ops[op].family;
  return family == NIB_FAMILY_BINARY || family == NIB_FAMILY_SELECT ||
         family == NIB_FAMILY_FUNCTION || family == NIB_FAMILY_RECODE;
}

const nib_attr_info *nib_attr_get(nib_attr_id id) { return &attrs[id]; }

nib_attr_id nib_attr_find(const char *name) {
  for (int i = 0; i < NIB_ATTR_COUNT; ++i)
    if (strcmp(attrs[i].name, name) == 0)
      return (nib_attr_id)i;
  return NIB_ATTR_COUNT;
}

/* Start of the slot-th word of a space-separated list, or NULL. */
static const char *find_word(const char *list, int slot) {
  for (;; --slot) {
    list += strspn(list, " ");
    if (!*list)
      return NULL;
    if (slot == 0)
      return list;
    list += strcspn(list, " ");
  }
}

int nib_op_operand_slots(nib_op op) {
  int n = 0;
  while (find_word(ops[op].operands, n))
    ++n;
  return n;
}

/* Last character of the slot's word: '?' optional, '*' variadic. */
static char slot_mark(nib_op op, int slot) {
  const char *word = find_word(ops[op].operands, slot);
  return word ? word[strcspn(word, " ") - 1] : '\0';
}

bool nib_op_operand_is_optional(nib_op op, int slot) { return slot_mark(op, slot) == '?'; }

bool nib_op_operand_is_variadic(nib_op op, int slot) { return slot_mark(op, slot) == '*'; }
