/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * An ONNX test_data_set folder: input_N.pb and output_N.pb. */
#ifndef NIBC_TEST_DATA_H
#define NIBC_TEST_DATA_H

#include "feed.h"
#include "import/import.h"

enum { NIBC_MAX_TEST_INPUTS = 64 };

/** The inputs of a data set. What cannot be read (an absent optional input, a type that Nibble has
 *  not) has no data; it matters only if the model has such an input. */
typedef struct nibc_test_data {
  const char *dir; /**< NULL: none */
  int n;
  nib_input_value inputs[NIBC_MAX_TEST_INPUTS];
} nibc_test_data;

/** Reads input_0.pb and so on from `dir`, which must outlive the result. */
nib_status nibc_test_data_read(const char *dir, nibc_test_data *out_data);
void nibc_test_data_free(nibc_test_data *data);

/** What the graph's inputs get: the data set's inputs without those that became constants. Prints a
 *  line for each of the latter. */
nib_status nibc_test_data_feed_inputs(const nibc_test_data *data, const nib_graph *g,
                                      nibc_feed *out_feed);
/** output_N.pb for the graph's outputs. */
nib_status nibc_test_data_feed_outputs(const nibc_test_data *data, const nib_graph *g,
                                       nibc_feed *out_feed);

#endif
