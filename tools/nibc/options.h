/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The command line of nibc: one table of options, read by the parser and by `nibc help`. */
#ifndef NIBC_OPTIONS_H
#define NIBC_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define NIBC_MAX_LIST 64

typedef enum nibc_command_id {
  NIBC_COMPILE,
  NIBC_RUN,
  NIBC_VERIFY,
  NIBC_INSPECT,
  NIBC_TARGETS,
  NIBC_FORMATS,
  NIBC_COMMAND_COUNT
} nibc_command_id;

/** Values of a repeated option, in order. */
typedef struct nibc_list {
  const char *items[NIBC_MAX_LIST];
  int n;
} nibc_list;

/** Options after parsing. Strings point into argv; NULL: not given. */
typedef struct nibc_options {
  nibc_command_id command;
  const char *model; /**< of formats: a name */
  const char *out_dir, *name, *target, *emit, *stop_after, *rounding, *precision, *cost_model;
  const char *weights, *weight_scale, *activation_format, *decode_weights, *codegen, *report, *pass_pipeline, *color, *test_data;
  nibc_list dims, inputs, outputs, expects, weight_formats, accumulate, prefer;
  int64_t threads, unroll, max_arena_bytes, repeat, vlen;
  bool no_fallback, integer_only, size, dry_run, verbose, print_ir_after_all, timing, json, no_cache, per_layer;
  bool explain, help, count;
} nibc_options;

/** Parses the words after the subcommand. False after a message to stderr: exit status 2. */
bool nibc_options_parse(nibc_command_id command, int argc, char **argv, nibc_options *out_options);

const char *nibc_command_name(nibc_command_id command);
nibc_command_id nibc_command_find(const char *name); /**< NIBC_COMMAND_COUNT if unknown */

/** The general help, or one subcommand's. */
void nibc_help_general(FILE *to);
void nibc_help_command(FILE *to, nibc_command_id command);
/** The option lines of a subcommand, from the table. */
void nibc_help_options(FILE *to, nibc_command_id command);

#endif
