/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * "q4_0;output.weight=q8_0": formats of weights by name. */
#include "quantize/quantize.h"

#include <stdlib.h>
#include <string.h>

static nib_status read_rule(char *item, nib_weight_rule *rule, const nib_diag *diag) {
  *rule = (nib_weight_rule){"", nib_format_find(item)};
  char *equal = strchr(item, '='); /* a format may have parameters with = of their own */
  if (rule->format == NIB_FORMAT_COUNT && equal && equal != item) {
    *equal = '\0';
    *rule = (nib_weight_rule){item, nib_format_find(equal + 1)};
    item = equal + 1;
  }
  if (rule->format == NIB_FORMAT_COUNT)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "weight formats: '%.100s' is no format; `nibc formats` lists them", item);
  if (!nib_format_holds_reals(rule->format))
    return nib_diag_error(diag, NIB_ERROR_UNSUPPORTED,
                          "weight formats: %s has no scale; weights need a format of reals or of "
                          "blocks",
                          nib_format_get(rule->format)->name);
  return NIB_OK;
}

nib_status nib_weight_rules_parse(const char *text, nib_weight_rules *out_rules,
                                  const nib_diag *diag) {
  memset(out_rules, 0, sizeof *out_rules);
  out_rules->text = malloc(strlen(text) + 1);
  if (!out_rules->text)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  memcpy(out_rules->text, text, strlen(text) + 1);
  for (char *item = out_rules->text; item;) {
    char *next = strchr(item, ';');
    if (next)
      *next++ = '\0';
    if (out_rules->n == NIB_MAX_WEIGHT_RULES)
      return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE, "weight formats: more than %d rules",
                            NIB_MAX_WEIGHT_RULES);
    if (*item)
      NIB_RETURN_IF_ERROR(read_rule(item, &out_rules->rows[out_rules->n++], diag));
    item = next;
  }
  return NIB_OK;
}

void nib_weight_rules_free(nib_weight_rules *rules) {
  free(rules->text);
  rules->text = NULL;
  rules->n = 0;
}

/* Linear for each *: the last one is the only place to go back to. */
static bool matches(const char *pattern, const char *name) {
  const char *star = NULL, *resume = NULL;
  while (*name) {
    if (*pattern == '*') {
      star = pattern++;
      resume = name;
    } else if (*pattern && (*pattern == '?' || *pattern == *name)) {
      ++pattern;
      ++name;
    } else if (star) {
      pattern = star + 1;
      name = ++resume;
    } else {
      return false;
    }
  }
  while (*pattern == '*')
    ++pattern;
  return *pattern == '\0';
}

int nib_weight_rules_find(const nib_weight_rules *rules, const char *name) {
  int otherwise = -1;
  for (int i = 0; i < rules->n; ++i) {
    const char *pattern = rules->rows[i].pattern;
    if (!pattern[0])
      otherwise = i;
    else if (strpbrk(pattern, "*?") ? matches(pattern, name) : strstr(name, pattern) != NULL)
      return i;
  }
  return otherwise;
}
