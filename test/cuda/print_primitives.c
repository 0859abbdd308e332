// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Prints the head of a generated CUDA file for the C text on standard input, and then the text
// itself.
#include "cuda/device_text.h"

#include <stdio.h>

int main(void) {
  nib_text in, out;
  nib_text_init(&in);
  nib_text_init(&out);
  char line[4096];
  while (fgets(line, sizeof line, stdin))
    nib_text_printf(&in, "%s", line);
  nib_cuda_primitives(in.data ? in.data : "", &out);
  if (in.failed || out.failed)
    return 1;
  fputs(out.data, stdout);
  fputs(in.data ? in.data : "", stdout);
  nib_text_free(&in);
  nib_text_free(&out);
  return 0;
}
