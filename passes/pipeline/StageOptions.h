// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// From options of a pass to the nib_options of its stage.
#ifndef NIB_PASSES_PIPELINE_STAGEOPTIONS_H
#define NIB_PASSES_PIPELINE_STAGEOPTIONS_H

#include "pipeline/stages.h"

#include <string>

namespace nib {

/// The text of an option; NULL where it is empty.
inline const char *textOrNull(const std::string &text) {
  return text.empty() ? nullptr : text.c_str();
}

/// Default options for `target` and `rounding`, which the result borrows.
inline nib_options makeOptions(const std::string &target, const std::string &rounding) {
  nib_options options = nib_options_default();
  options.target = target.c_str();
  options.rounding = textOrNull(rounding);
  return options;
}

} // namespace nib

#endif
