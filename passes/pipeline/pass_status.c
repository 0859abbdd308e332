/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The nib_status of a stage that failed inside a pass. */
#include "pipeline/pass_status.h"

static _Thread_local nib_status first_failure = NIB_OK;

nib_status nib_pass_status_note(nib_status status) {
  if (first_failure == NIB_OK)
    first_failure = status;
  return status;
}

nib_status nib_pass_status_take(void) {
  const nib_status status = first_failure;
  first_failure = NIB_OK;
  return status;
}
