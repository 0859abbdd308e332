/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * libFuzzer entry of one importer: NIB_FUZZ_IMPORT is its function. Any input must give a status
 * out of the contract, and a graph exactly when it is NIB_OK. */
#include "import/import.h"

#include <stdlib.h>

static void ignore(void *user, nib_severity severity, const char *message) {
  (void)severity;
  *(size_t *)user += message[0] != '\0';
}

static void import_once(const uint8_t *bytes, size_t size, bool list_only) {
  size_t messages = 0;
  const nib_diag diag = {ignore, &messages};
  const nib_import_options options = {
      .model_name = "fuzz", .display_path = "fuzz", .list_only = list_only};
  nib_graph *graph = NULL;
  nib_status status = NIB_FUZZ_IMPORT(bytes, size, &options, &graph, &diag);
  bool expected = status == NIB_OK || status == NIB_ERROR_INVALID_INPUT ||
                  status == NIB_ERROR_UNSUPPORTED || status == NIB_ERROR_OUT_OF_MEMORY;
  if (!expected || (status == NIB_OK) != (graph != NULL) || (status != NIB_OK && messages == 0))
    abort();
  if (graph && !list_only && nib_graph_validate(graph, &diag) != NIB_OK)
    abort();
  if (graph && graph->n_tensors < 64)
    free(nib_graph_to_text(graph));
  nib_graph_destroy(graph);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  import_once(bytes, size, false);
  import_once(bytes, size, true);
  return 0;
}
