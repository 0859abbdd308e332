/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Kernel descriptions as one JSON object per line. Reading is strict: every field must be there
 * with its type and range, and no other. */
#include "desc/kernel_desc.h"

#include <cjson/cJSON.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The scalar and array fields by name; the same table writes and reads. */
typedef enum field_kind { FIELD_I64, FIELD_I32, FIELD_TEXT } field_kind;

typedef struct field_row {
  const char *name;
  field_kind kind;
  size_t offset;
  int count; /* numbers: 0 is a plain number; text: capacity */
} field_row;

#define FIELD(kind, member, count)                                                                 \
  { #member, kind, offsetof(nib_kernel_desc, member), count }

static const field_row k_fields[] = {
    FIELD(FIELD_I64, kernel, 2),
    FIELD(FIELD_I64, strides, 2),
    FIELD(FIELD_I64, dilations, 2),
    FIELD(FIELD_I64, pads, 4),
    FIELD(FIELD_TEXT, rounding, sizeof((nib_kernel_desc *)0)->rounding),
    FIELD(FIELD_TEXT, schedule, sizeof((nib_kernel_desc *)0)->schedule),
    FIELD(FIELD_TEXT, vocab, sizeof((nib_kernel_desc *)0)->vocab),
    FIELD(FIELD_I32, tile, NIB_MAX_TILE),
    FIELD(FIELD_I64, macs, 0),
    FIELD(FIELD_I64, excess_macs, 0),
    FIELD(FIELD_I64, elementwise, 0),
    FIELD(FIELD_I64, input_bytes, 0),
    FIELD(FIELD_I64, weight_bytes, 0),
    FIELD(FIELD_I64, output_bytes, 0),
    FIELD(FIELD_I64, scratch_bytes, 0),
    FIELD(FIELD_I64, working_set_bytes, 0),
};
enum { FIELD_COUNT = sizeof k_fields / sizeof k_fields[0] };

/* Whole numbers that a JSON number (a double) carries exactly. */
static const double k_exact_limit = 9007199254740992.0;

static double number_at(const field_row *f, const void *base, int i) {
  const char *at = (const char *)base + f->offset;
  return f->kind == FIELD_I64 ? (double)((const int64_t *)(const void *)at)[i]
                              : (double)((const int32_t *)(const void *)at)[i];
}

static cJSON *write_numbers(const field_row *f, const nib_kernel_desc *d) {
  if (f->count == 0)
    return cJSON_CreateNumber(number_at(f, d, 0));
  cJSON *array = cJSON_CreateArray();
  for (int i = 0; array != NULL && i < f->count; ++i)
    cJSON_AddItemToArray(array, cJSON_CreateNumber(number_at(f, d, i)));
  return array;
}

static cJSON *write_tensors(const nib_kernel_desc *d) {
  cJSON *list = cJSON_CreateArray();
  for (int32_t i = 0; list != NULL && i < d->n_tensors; ++i) {
    const nib_desc_tensor *t = &d->tensors[i];
    cJSON *item = cJSON_CreateObject();
    cJSON *dims = cJSON_CreateArray();
    for (int32_t k = 0; k < t->rank; ++k)
      cJSON_AddItemToArray(dims, cJSON_CreateNumber((double)t->dims[k]));
    cJSON_AddStringToObject(item, "role", t->role);
    cJSON_AddStringToObject(item, "format", t->format);
    cJSON_AddItemToObject(item, "dims", dims);
    cJSON_AddItemToArray(list, item);
  }
  return list;
}

char *nib_kernel_desc_to_json(const nib_kernel_desc *d) {
  cJSON *root = cJSON_CreateObject();
  if (root == NULL)
    return NULL;
  cJSON *ops = cJSON_AddArrayToObject(root, "ops");
  for (int32_t i = 0; ops != NULL && i < d->n_ops; ++i)
    cJSON_AddItemToArray(ops, cJSON_CreateString(d->ops[i]));
  cJSON_AddItemToObject(root, "tensors", write_tensors(d));
  for (size_t i = 0; i < FIELD_COUNT; ++i) {
    const field_row *f = &k_fields[i];
    cJSON *value = f->kind == FIELD_TEXT ? cJSON_CreateString((const char *)d + f->offset)
                                         : write_numbers(f, d);
    cJSON_AddItemToObject(root, f->name, value);
  }
  if (d->body != NULL)
    cJSON_AddStringToObject(root, "body", d->body);
  char *text = cJSON_PrintUnformatted(root);
  cJSON_Delete(root);
  return text;
}

/* --- reading --- */

static nib_status bad(const nib_diag *diag, const char *field, const char *what) {
  return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT, "kernel description: '%s' %s", field, what);
}

static bool read_whole(const cJSON *item, double lo, double hi, double *out) {
  if (!cJSON_IsNumber(item))
    return false;
  const double v = item->valuedouble;
  if (!(v >= lo && v <= hi) || v != floor(v))
    return false;
  *out = v;
  return true;
}

static nib_status read_number(const field_row *f, int i, const cJSON *item, nib_kernel_desc *d,
                              const nib_diag *diag) {
  const double limit = f->kind == FIELD_I64 ? k_exact_limit : (double)INT32_MAX;
  double v;
  if (!read_whole(item, f->kind == FIELD_I64 && f->count == 4 ? -limit : 0, limit, &v))
    return bad(diag, f->name, "must hold whole numbers in range");
  char *at = (char *)d + f->offset;
  if (f->kind == FIELD_I64)
    ((int64_t *)(void *)at)[i] = (int64_t)v;
  else
    ((int32_t *)(void *)at)[i] = (int32_t)v;
  return NIB_OK;
}

static nib_status read_text(const char *field, const cJSON *item, char *out, size_t capacity,
                            const nib_diag *diag) {
  if (!cJSON_IsString(item) || strlen(item->valuestring) >= capacity)
    return bad(diag, field, "must be a string that fits");
  strcpy(out, item->valuestring);
  return NIB_OK;
}

static nib_status read_field(const field_row *f, const cJSON *item, nib_kernel_desc *d,
                             const nib_diag *diag) {
  if (f->kind == FIELD_TEXT)
    return read_text(f->name, item, (char *)d + f->offset, (size_t)f->count, diag);
  if (f->count == 0)
    return read_number(f, 0, item, d, diag);
  if (!cJSON_IsArray(item) || cJSON_GetArraySize(item) != f->count)
    return bad(diag, f->name, "has the wrong number of elements");
  for (int i = 0; i < f->count; ++i)
    NIB_RETURN_IF_ERROR(read_number(f, i, cJSON_GetArrayItem(item, i), d, diag));
  return NIB_OK;
}

static nib_status read_ops(const cJSON *item, nib_kernel_desc *d, const nib_diag *diag) {
  const int n = cJSON_GetArraySize(item);
  if (!cJSON_IsArray(item) || n < 1 || n > NIB_DESC_MAX_OPS)
    return bad(diag, "ops", "must be a list of 1 to 16 operators");
  for (int i = 0; i < n; ++i) {
    NIB_RETURN_IF_ERROR(
        read_text("ops", cJSON_GetArrayItem(item, i), d->ops[i], sizeof d->ops[i], diag));
    if (nib_op_find(d->ops[i]) == NIB_OP_COUNT)
      return bad(diag, "ops", "names an unknown operator");
  }
  d->n_ops = n;
  return NIB_OK;
}

static nib_status read_tensor(const cJSON *item, nib_desc_tensor *t, const nib_diag *diag) {
  static const char *const roles[] = {"in", "out", "weight"};
  if (!cJSON_IsObject(item) || cJSON_GetArraySize(item) != 3)
    return bad(diag, "tensors", "must hold objects of role, format and dims");
  NIB_RETURN_IF_ERROR(read_text("role", cJSON_GetObjectItemCaseSensitive(item, "role"), t->role,
                                sizeof t->role, diag));
  NIB_RETURN_IF_ERROR(read_text("format", cJSON_GetObjectItemCaseSensitive(item, "format"),
                                t->format, sizeof t->format, diag));
  bool known = false;
  for (size_t i = 0; i < sizeof roles / sizeof roles[0]; ++i)
    known = known || strcmp(roles[i], t->role) == 0;
  if (!known)
    return bad(diag, "role", "must be in, out or weight");
  if (nib_format_find(t->format) == NIB_FORMAT_COUNT)
    return bad(diag, "format", "names an unknown format");
  const cJSON *dims = cJSON_GetObjectItemCaseSensitive(item, "dims");
  const int rank = cJSON_GetArraySize(dims);
  if (!cJSON_IsArray(dims) || rank > NIB_MAX_RANK)
    return bad(diag, "dims", "must be a list of at most 8 numbers");
  for (int i = 0; i < rank; ++i) {
    double v;
    if (!read_whole(cJSON_GetArrayItem(dims, i), 0, k_exact_limit, &v))
      return bad(diag, "dims", "must hold whole numbers in range");
    t->dims[i] = (int64_t)v;
  }
  t->rank = rank;
  return NIB_OK;
}

static nib_status read_tensors(const cJSON *item, nib_kernel_desc *d, const nib_diag *diag) {
  const int n = cJSON_GetArraySize(item);
  if (!cJSON_IsArray(item) || n > NIB_DESC_MAX_TENSORS)
    return bad(diag, "tensors", "must be a list of at most 16 tensors");
  for (int i = 0; i < n; ++i)
    NIB_RETURN_IF_ERROR(read_tensor(cJSON_GetArrayItem(item, i), &d->tensors[i], diag));
  d->n_tensors = n;
  return NIB_OK;
}

static nib_status read_body(const cJSON *item, nib_kernel_desc *d, const nib_diag *diag) {
  if (!cJSON_IsString(item))
    return bad(diag, "body", "must be a string");
  const size_t bytes = strlen(item->valuestring) + 1;
  d->body = malloc(bytes);
  if (d->body == NULL)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "kernel description: out of memory");
  memcpy(d->body, item->valuestring, bytes);
  return NIB_OK;
}

static nib_status read_object(const cJSON *root, nib_kernel_desc *d, const nib_diag *diag) {
  if (!cJSON_IsObject(root))
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT, "kernel description: not a JSON object");
  const cJSON *body = cJSON_GetObjectItemCaseSensitive(root, "body");
  const int expected = (int)FIELD_COUNT + 2 + (body != NULL);
  for (size_t i = 0; i < FIELD_COUNT; ++i) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, k_fields[i].name);
    if (item == NULL)
      return bad(diag, k_fields[i].name, "is missing");
    NIB_RETURN_IF_ERROR(read_field(&k_fields[i], item, d, diag));
  }
  NIB_RETURN_IF_ERROR(read_ops(cJSON_GetObjectItemCaseSensitive(root, "ops"), d, diag));
  NIB_RETURN_IF_ERROR(read_tensors(cJSON_GetObjectItemCaseSensitive(root, "tensors"), d, diag));
  if (cJSON_GetArraySize(root) != expected)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "kernel description: unknown or repeated field");
  return body != NULL ? read_body(body, d, diag) : NIB_OK;
}

nib_status nib_kernel_desc_from_json(const char *json, nib_kernel_desc *out_desc,
                                     const nib_diag *diag) {
  memset(out_desc, 0, sizeof *out_desc);
  cJSON *root = cJSON_ParseWithOpts(json, NULL, 1);
  if (root == NULL)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT, "kernel description: not valid JSON");
  const nib_status status = read_object(root, out_desc, diag);
  cJSON_Delete(root);
  if (status != NIB_OK) {
    nib_kernel_desc_free(out_desc);
    memset(out_desc, 0, sizeof *out_desc);
  }
  return status;
}
