/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Decoding of protocol buffers from a file nobody vouches for. protobuf-c recurses without a limit,
 * merges repeated occurrences of a submessage in quadratic time, and allocates what the file asks
 * for; so the bytes are walked once beforehand, and the allocator has a limit. */
#include "onnx_internal.h"

#include <stdlib.h>
#include <string.h>

#define MAX_NESTING 64
#define BASE_BYTES ((size_t)64 << 20)
#define BYTES_PER_FILE_BYTE 16

const char *nib_onnx_text(const char *s) {
  return s ? s : "";
}

/* Each block begins with its size, so that free can give it back to the limit. */
#define HEADER_BYTES 16

static void *pool_alloc(void *data, size_t size) {
  nib_onnx_pool *pool = data;
  if (size > pool->limit_bytes - pool->used_bytes ||
      HEADER_BYTES > pool->limit_bytes - pool->used_bytes - size)
    return NULL;
  unsigned char *block = malloc(size + HEADER_BYTES);
  if (!block)
    return NULL;
  size += HEADER_BYTES;
  memcpy(block, &size, sizeof size);
  pool->used_bytes += size;
  return block + HEADER_BYTES;
}

static void pool_free(void *data, void *pointer) {
  nib_onnx_pool *pool = data;
  if (!pointer)
    return;
  unsigned char *block = (unsigned char *)pointer - HEADER_BYTES;
  size_t size;
  memcpy(&size, block, sizeof size);
  pool->used_bytes -= size;
  free(block);
}

void nib_onnx_init_pool(nib_onnx_pool *pool, size_t file_bytes) {
  pool->allocator = (ProtobufCAllocator){pool_alloc, pool_free, pool};
  pool->used_bytes = 0;
  pool->limit_bytes = file_bytes > SIZE_MAX / BYTES_PER_FILE_BYTE - BASE_BYTES
                          ? SIZE_MAX
                          : BASE_BYTES + file_bytes * BYTES_PER_FILE_BYTE;
}

/* Reads a varint at *at; false past the end or beyond ten bytes. */
static bool read_varint(const uint8_t *bytes, size_t size, size_t *at, uint64_t *out) {
  uint64_t value = 0;
  for (int shift = 0; shift < 70 && *at < size; shift += 7) {
    uint8_t byte = bytes[(*at)++];
    if (shift < 64)
      value |= (uint64_t)(byte & 0x7f) << shift;
    if (!(byte & 0x80)) {
      *out = value;
      return true;
    }
  }
  return false;
}

/* Length of the payload of a field that begins at *at (after the tag). */
static bool payload_length(const uint8_t *bytes, size_t size, unsigned wire, size_t *at,
                           size_t *out_length) {
  uint64_t value = 0;
  switch (wire) {
  case 0:
    *out_length = 0;
    return read_varint(bytes, size, at, &value);
  case 1:
    *out_length = 8;
    break;
  case 5:
    *out_length = 4;
    break;
  case 2:
    if (!read_varint(bytes, size, at, &value) || value > size)
      return false;
    *out_length = (size_t)value;
    break;
  default:
    return false; /* groups are not used by ONNX */
  }
  return *out_length <= size - *at;
}

static const char *walk(const ProtobufCMessageDescriptor *type, const uint8_t *bytes, size_t size,
                        int depth) {
  if (depth > MAX_NESTING)
    return "messages are nested too deeply";
  uint64_t seen = 0; /* by field index; every ONNX message has fewer than 64 fields */
  for (size_t at = 0; at < size;) {
    uint64_t tag;
    size_t length;
    if (!read_varint(bytes, size, &at, &tag) || tag >> 3 == 0 || tag >> 3 > UINT32_MAX)
      return "a field tag is damaged";
    if (!payload_length(bytes, size, tag & 7, &at, &length))
      return "a field runs past the end";
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(type, (unsigned)(tag >> 3));
    if (field && field->type == PROTOBUF_C_TYPE_MESSAGE && (tag & 7) == 2) {
      unsigned index = (unsigned)(field - type->fields);
      if (field->label != PROTOBUF_C_LABEL_REPEATED && index < 64) {
        if (seen >> index & 1)
          return "a field that may be there once is there twice";
        seen |= UINT64_C(1) << index;
      }
      const char *problem = walk(field->descriptor, bytes + at, length, depth + 1);
      if (problem)
        return problem;
    }
    at += length;
  }
  return NULL;
}

ProtobufCMessage *nib_onnx_decode(nib_onnx_pool *pool, const ProtobufCMessageDescriptor *descriptor,
                                  const uint8_t *bytes, size_t size, const nib_diag *diag) {
  const char *problem = size ? walk(descriptor, bytes, size, 0) : "the file is empty";
  if (problem) {
    nib_diag_error(diag, NIB_ERROR_INVALID_INPUT, "not an ONNX file: %s", problem);
    return NULL;
  }
  ProtobufCMessage *message =
      protobuf_c_message_unpack(descriptor, &pool->allocator, size, bytes);
  if (!message)
    nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                   "not an ONNX file: its fields are damaged, or need too much memory");
  return message;
}
