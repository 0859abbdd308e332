// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What no lowering could run is refused, in words.
// RUN: %nib-opt %s --split-input-file --verify-diagnostics

// -----

// A dynamic dimension.
func.func @f(%x: tensor<?x3xf32>) {
  // expected-error @+1 {{'nib.relu' op input: every dimension must be known, got 'tensor<?x3xf32>'}}
  %0 = nib.relu %x : (tensor<?x3xf32>) -> tensor<?x3xf32>
  return
}

// -----

// An unknown format.
func.func @f(%x: tensor<3xf80>) {
  // expected-error-re @+1 {{'nib.relu' op input: elements of type 'f80' are not supported; a tensor holds i1, i2, {{.*}}, f4E2M1FN, !nib.format or !quant.uniform}}
  %0 = nib.relu %x : (tensor<3xf80>) -> tensor<3xf80>
  return
}

// -----

// Too many dimensions.
func.func @f(%x: tensor<1x1x1x1x1x1x1x1x1xf32>) {
  // expected-error @+1 {{'nib.relu' op input: at most 8 dimensions are supported, got 'tensor<1x1x1x1x1x1x1x1x1xf32>'}}
  %0 = nib.relu %x : (tensor<1x1x1x1x1x1x1x1x1xf32>) -> tensor<1x1x1x1x1x1x1x1x1xf32>
  return
}

// -----

// A dimension of 0.
func.func @f(%x: tensor<0xf32>) {
  // expected-error @+2 {{'nib.relu' op tensor 'input' has a dimension of 0}}
  // expected-error @+1 {{'nib.relu' op tensor 'result' has a dimension of 0}}
  %0 = nib.relu %x : (tensor<0xf32>) -> tensor<0xf32>
  return
}

// -----

// Too many elements.
func.func @f(%x: tensor<2147483647x2xf32>) {
  // expected-error @+1 {{'nib.relu' op input: a tensor has at most 2147483647 elements, got 'tensor<2147483647x2xf32>'}}
  %0 = nib.relu %x : (tensor<2147483647x2xf32>) -> tensor<2147483647x2xf32>
  return
}

// -----

// Scales per axis in a type.
func.func @f(%x: tensor<2x!quant.uniform<i8:f32:0, {1.0, 2.0}>>) {
  // expected-error @+1 {{'nib.relu' op input: quantization must be per tensor, got '!quant.uniform<i8:f32:0, {1.000000e+00,2.000000e+00}>' (scales per channel are an operand)}}
  %0 = nib.relu %x : (tensor<2x!quant.uniform<i8:f32:0, {1.0, 2.0}>>) -> tensor<2x!quant.uniform<i8:f32:0, {1.0, 2.0}>>
  return
}

// -----

// A storage of 24 bits.
func.func @f(%x: tensor<2x!quant.uniform<i24:f32, 1.0>>) {
  // expected-error @+1 {{'nib.relu' op input: the storage type of '!quant.uniform<i24:f32, 1.000000e+00>' is no integer of 2 to 16 or 32 bits}}
  %0 = nib.relu %x : (tensor<2x!quant.uniform<i24:f32, 1.0>>) -> tensor<2x!quant.uniform<i24:f32, 1.0>>
  return
}

// -----

// A narrowed storage.
func.func @f(%x: tensor<2x!quant.uniform<i8<-127:127>:f32, 1.0>>) {
  // expected-error @+1 {{'nib.relu' op input: a narrowed storage range is not supported: '!quant.uniform<i8<-127:127>:f32, 1.000000e+00>'}}
  %0 = nib.relu %x : (tensor<2x!quant.uniform<i8<-127:127>:f32, 1.0>>) -> tensor<2x!quant.uniform<i8<-127:127>:f32, 1.0>>
  return
}

// -----

// An expressed type other than f32.
func.func @f(%x: tensor<2x!quant.uniform<i8:f64, 1.0>>) {
  // expected-error @+1 {{'nib.relu' op input: the expressed type of '!quant.uniform<i8:f64, 1.000000e+00>' must be f32}}
  %0 = nib.relu %x : (tensor<2x!quant.uniform<i8:f64, 1.0>>) -> tensor<2x!quant.uniform<i8:f64, 1.0>>
  return
}

// -----

// A zero point that is no code.
func.func @f(%x: tensor<2x!quant.uniform<i8:f32, 1.0:200>>) {
  // expected-error @+1 {{'nib.relu' op input: the zero point 200 is not a code of i8 (-128 to 127)}}
  %0 = nib.relu %x : (tensor<2x!quant.uniform<i8:f32, 1.0:200>>) -> tensor<2x!quant.uniform<i8:f32, 1.0:200>>
  return
}

// -----

// A scale that f32 does not have.
func.func @f(%x: tensor<2x!quant.uniform<i8:f32, 0.1>>) {
  // expected-error @+1 {{'nib.relu' op input: the scale of '!quant.uniform<i8:f32, 1.000000e-01>' is not a positive f32 number; the nearest is 0.10000000149011612}}
  %0 = nib.relu %x : (tensor<2x!quant.uniform<i8:f32, 0.1>>) -> tensor<2x!quant.uniform<i8:f32, 0.1>>
  return
}

// -----

// A value of another type.
func.func @f() {
  // expected-error @+1 {{'nib.constant' op value has type 'tensor<2xi8>', but the bytes of 'tensor<3xi8>' are 'tensor<3xi8>'}}
  %0 = nib.constant dense<1> : tensor<2xi8> as tensor<3xi8>
  return
}

// -----

// A value that is not stored so.
func.func @f() {
  // expected-error @+1 {{'nib.constant' op value has type 'tensor<2xi8>', but the bytes of 'tensor<2x!quant.uniform<u8:f32, 1.000000e+00>>' are 'tensor<2xui8>'}}
  %0 = nib.constant dense<1> : tensor<2xi8> as tensor<2x!quant.uniform<u8:f32, 1.0>>
  return
}

// -----

// A resource without data.
func.func @f() {
  // expected-error @+1 {{'nib.constant' op resource 'missing' has no data (was it left out when the IR was printed?)}}
  %0 = nib.constant dense_resource<missing> : tensor<2xi8>
  return
}

// -----

// A resource of another length.
func.func @f() {
  // expected-error @+1 {{'nib.constant' op resource 'three' has 3 bytes, 'tensor<2xi8>' needs 2}}
  %0 = nib.constant dense_resource<three> : tensor<2xi8>
  return
}

{-# dialect_resources: { builtin: { three: "0x01000000010203" } } #-}

// -----

// A rounding that does not exist.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3x3xi8>, %s: tensor<4xf32>) {
  // expected-error @+1 {{'nib.conv2d' op rounding "up" is none of nearest-even, nearest-away, tflite-single, tflite-double, tflite-int64, dyadic, tosa-single, tosa-double, tosa-inexact, tflite-away}}
  %0 = nib.conv2d %x, %w scales %s rounding "up" : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3x3xi8>, tensor<4xf32>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// An activation that does not exist.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3x3xi8>, %s: tensor<4xf32>) {
  // expected-error @+1 {{'nib.conv2d' op unknown activation 'gelu'}}
  %0 = nib.conv2d %x, %w scales %s activation "gelu" : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3x3xi8>, tensor<4xf32>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// A filter of other channels.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3x2xi8>, %s: tensor<4xf32>) {
  // expected-error @+1 {{'nib.conv2d' op a filter of 4x…x2 in 1 groups does not fit 3 channels}}
  %0 = nib.conv2d %x, %w scales %s : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3x2xi8>, tensor<4xf32>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// A filter of rank 3.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3xi8>, %s: tensor<4xf32>) {
  // expected-error @+1 {{'nib.conv2d' op its filter has 3 dimensions, not 4}}
  %0 = nib.conv2d %x, %w scales %s : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3xi8>, tensor<4xf32>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// Three scales for four channels.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3x3xi8>, %s: tensor<3xf32>) {
  // expected-error @+1 {{'nib.conv2d' op its scales must be f32 of shape [1] or [4]}}
  %0 = nib.conv2d %x, %w scales %s : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3x3xi8>, tensor<3xf32>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// A result of another height.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3x3xi8>, %s: tensor<4xf32>) {
  // expected-error @+2 {{'nib.conv2d' op its result's height is 6, the window gives 3}}
  // expected-error @+1 {{'nib.conv2d' op its result's width is 6, the window gives 3}}
  %0 = nib.conv2d %x, %w scales %s strides [2, 2] : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3x3xi8>, tensor<4xf32>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// A stride of 0.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3x3xi8>, %s: tensor<4xf32>) {
  // expected-error @+1 {{'nib.conv2d' op value 0 of its strides is 0}}
  %0 = nib.conv2d %x, %w scales %s strides [0, 1] : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3x3xi8>, tensor<4xf32>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// One stride.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3x3xi8>, %s: tensor<4xf32>) {
  // expected-error @+1 {{'nib.conv2d' op its strides has 1 values, not 2}}
  %0 = nib.conv2d %x, %w scales %s strides [1] : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3x3xi8>, tensor<4xf32>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// Negative padding.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3x3xi8>, %s: tensor<4xf32>) {
  // expected-error @+1 {{'nib.conv2d' op value 0 of its pads is -1}}
  %0 = nib.conv2d %x, %w scales %s pads [-1, 1, 0, 0] : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3x3xi8>, tensor<4xf32>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// Groups that do not divide the channels.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3x3xi8>, %s: tensor<4xf32>) {
  // expected-error @+1 {{'nib.conv2d' op a filter of 4x…x3 in 2 groups does not fit 3 channels}}
  %0 = nib.conv2d %x, %w scales %s groups 2 : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3x3xi8>, tensor<4xf32>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// An empty range of codes.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3x3xi8>, %s: tensor<4xf32>) {
  // expected-error @+1 {{'nib.conv2d' op its clamp is not [low, high]}}
  %0 = nib.conv2d %x, %w scales %s clamp [5, 4] : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3x3xi8>, tensor<4xf32>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// A bias of other length.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3x3xi8>, %b: tensor<3xi32>, %s: tensor<4xf32>) {
  // expected-error @+1 {{'nib.conv2d' op its bias must have the shape [4]}}
  %0 = nib.conv2d %x, %w bias %b scales %s : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3x3xi8>, tensor<3xi32>, tensor<4xf32>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// A bias of codes.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3x3xi8>, %b: tensor<4xi8>, %s: tensor<4xf32>) {
  // expected-error @+1 {{'nib.conv2d' op its bias is i8, not i32 or i64}}
  %0 = nib.conv2d %x, %w bias %b scales %s : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3x3xi8>, tensor<4xi8>, tensor<4xf32>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// A filter without scales.
func.func @f(%x: tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, %w: tensor<4x3x3x3xi8>) {
  // expected-error @+1 {{'nib.conv2d' op its filter has neither a quantized type nor filter_scales}}
  %0 = nib.conv2d %x, %w : (tensor<1x8x8x3x!quant.uniform<i8:f32, 5.000000e-01:3>>, tensor<4x3x3x3xi8>) -> tensor<1x6x6x4x!quant.uniform<i8:f32, 5.000000e-01:3>>
  return
}

// -----

// Depthwise channels that do not fit.
func.func @f(%x: tensor<1x5x5x4xf32>, %w: tensor<1x3x3x6xf32>) {
  // expected-error @+1 {{'nib.depthwise_conv2d' op 6 channels are not a multiple of 4}}
  %0 = nib.depthwise_conv2d %x, %w : (tensor<1x5x5x4xf32>, tensor<1x3x3x6xf32>) -> tensor<1x3x3x6xf32>
  return
}

// -----

// A transposed result of another size.
func.func @f(%x: tensor<1x3x3x4xf32>, %w: tensor<2x2x2x4xf32>) {
  // expected-error @+1 {{'nib.transpose_conv2d' op its result's height is 7, expected 6}}
  %0 = nib.transpose_conv2d %x, %w strides [2, 2] : (tensor<1x3x3x4xf32>, tensor<2x2x2x4xf32>) -> tensor<1x7x6x2xf32>
  return
}

// -----

// A dense filter of other inputs.
func.func @f(%x: tensor<1x16xf32>, %w: tensor<10x15xf32>) {
  // expected-error @+1 {{'nib.fully_connected' op the width of its filter is 15, expected 16}}
  %0 = nib.fully_connected %x, %w : (tensor<1x16xf32>, tensor<10x15xf32>) -> tensor<1x10xf32>
  return
}

// -----

// Inner dimensions that differ.
func.func @f(%a: tensor<2x3xf32>, %b: tensor<4x5xf32>) {
  // expected-error @+1 {{'nib.matmul' op the height of the right operand is 4, expected 3}}
  %0 = nib.matmul %a, %b : (tensor<2x3xf32>, tensor<4x5xf32>) -> tensor<2x5xf32>
  return
}

// -----

// A pool without a kernel.
func.func @f(%x: tensor<1x4x4x3xf32>) {
  // expected-error @+1 {{'nib.avg_pool2d' op it has no kernel}}
  %0 = nib.avg_pool2d %x : (tensor<1x4x4x3xf32>) -> tensor<1x2x2x3xf32>
  return
}

// -----

// A pool that changes channels.
func.func @f(%x: tensor<1x4x4x3xf32>) {
  // expected-error @+1 {{'nib.max_pool2d' op the channel count of its result is 4, expected 3}}
  %0 = nib.max_pool2d %x kernel [2, 2] strides [2, 2] : (tensor<1x4x4x3xf32>) -> tensor<1x2x2x4xf32>
  return
}

// -----

// An axis that does not exist.
func.func @f(%x: tensor<1x4x4x3xf32>) {
  // expected-error @+1 {{'nib.mean' op its axes are not distinct dimensions of 4}}
  %0 = nib.mean %x axes [4] : (tensor<1x4x4x3xf32>) -> tensor<1x4x4xf32>
  return
}

// -----

// Shapes that do not broadcast.
func.func @f(%a: tensor<2x3xf32>, %b: tensor<2xf32>) {
  // expected-error @+1 {{'nib.add' op the shapes of its operands do not broadcast to that of its result}}
  %0 = nib.add %a, %b : (tensor<2x3xf32>, tensor<2xf32>) -> tensor<2x3xf32>
  return
}

// -----

// A float and codes.
func.func @f(%a: tensor<2xf32>, %b: tensor<2x!quant.uniform<i8:f32, 1.0>>) {
  // expected-error @+1 {{'nib.mul' op operand 1 and the result differ in type}}
  %0 = nib.mul %a, %b : (tensor<2xf32>, tensor<2x!quant.uniform<i8:f32, 1.0>>) -> tensor<2xf32>
  return
}

// -----

// An elementwise result of another shape.
func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{'nib.tanh' op its input and result differ in shape}}
  %0 = nib.tanh %x : (tensor<2xf32>) -> tensor<3xf32>
  return
}

// -----

// Bounds in the wrong order.
func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{'nib.clamp' op its min is above its max}}
  %0 = nib.clamp %x min 2.0 max 1.0 : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

// A softmax of an axis that does not exist.
func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{'nib.softmax' op its axis is 2 of 2 dimensions}}
  %0 = nib.softmax %x axis 2 : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

// A table of another length.
func.func @f(%x: tensor<2xi8>, %t: tensor<255xi8>) {
  // expected-error @+1 {{'nib.lookup' op its table must have 256 entries of the result's format}}
  %0 = nib.lookup %x, %t : (tensor<2xi8>, tensor<255xi8>) -> tensor<2xi8>
  return
}

// -----

// Padding of another count.
func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{'nib.pad' op its low has 1 values, not 2}}
  %0 = nib.pad %x low [1] high [1] : (tensor<2x3xf32>) -> tensor<2x5xf32>
  return
}

// -----

// A padded result of another size.
func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{'nib.pad' op dimension 1 of its result is 6, expected 5}}
  %0 = nib.pad %x low [0, 1] high [0, 1] : (tensor<2x3xf32>) -> tensor<2x6xf32>
  return
}

// -----

// A reshape that loses elements.
func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{'nib.reshape' op 6 elements become 5}}
  %0 = nib.reshape %x : (tensor<2x3xf32>) -> tensor<5xf32>
  return
}

// -----

// A reshape to another format.
func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{'nib.reshape' op its input and result differ in type or quantization}}
  %0 = nib.reshape %x : (tensor<2x3xf32>) -> tensor<6xi32>
  return
}

// -----

// A perm with a repeated dimension.
func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{'nib.transpose' op its perm is not a permutation of 2 dimensions}}
  %0 = nib.transpose %x perm [0, 0] : (tensor<2x3xf32>) -> tensor<2x2xf32>
  return
}

// -----

// A transposed result of another shape.
func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+2 {{'nib.transpose' op dimension 0 of its result is 2, expected 3}}
  // expected-error @+1 {{'nib.transpose' op dimension 1 of its result is 3, expected 2}}
  %0 = nib.transpose %x perm [1, 0] : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return
}

// -----

// A concat along other sizes.
func.func @f(%a: tensor<2x3xf32>, %b: tensor<1x3xf32>) {
  // expected-error @+1 {{'nib.concat' op dimension 0 of its result is 2, expected 1}}
  %0 = nib.concat %a, %b axis 1 : (tensor<2x3xf32>, tensor<1x3xf32>) -> tensor<2x6xf32>
  return
}

// -----

// A slice beyond the end.
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{'nib.slice' op it takes 2 to 5 of 4 in dimension 0}}
  %0 = nib.slice %x begin [2] sizes [3] : (tensor<4xf32>) -> tensor<3xf32>
  return
}

// -----

// A step of 0.
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{'nib.strided_slice' op it takes 0 to 0 in steps of 0 of 4 in dimension 0}}
  %0 = nib.strided_slice %x begin [0] steps [0] : (tensor<4xf32>) -> tensor<1xf32>
  return
}

// -----

// A strided slice beyond the end.
func.func @f(%x: tensor<4xf32>) {
  // expected-error @+1 {{'nib.strided_slice' op it takes 1 to 5 in steps of 2 of 4 in dimension 0}}
  %0 = nib.strided_slice %x begin [1] steps [2] : (tensor<4xf32>) -> tensor<3xf32>
  return
}

// -----

// A squeeze of other dimensions.
func.func @f(%x: tensor<2x1x3xf32>) {
  // expected-error @+1 {{'nib.squeeze' op its input and result differ in more than dimensions of 1}}
  %0 = nib.squeeze %x : (tensor<2x1x3xf32>) -> tensor<3x2xf32>
  return
}

// -----

// An expansion that is none.
func.func @f(%x: tensor<2x3xf32>) {
  // expected-error @+1 {{'nib.expand_dims' op its input and result differ in more than dimensions of 1}}
  %0 = nib.expand_dims %x : (tensor<2x3xf32>) -> tensor<3x2xf32>
  return
}

// -----

// Quantizing to a plain type.
func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{'nib.quantize' op its result is neither quantized nor bipolar}}
  %0 = nib.quantize %x : (tensor<2xf32>) -> tensor<2xi8>
  return
}

// -----

// Codes without a scale.
func.func @f(%x: tensor<2xi8>) {
  // expected-error @+1 {{'nib.dequantize' op its input has no scale}}
  %0 = nib.dequantize %x : (tensor<2xi8>) -> tensor<2xf32>
  return
}

// -----

// Scales of another count.
func.func @f(%x: tensor<2x3xi8>, %s: tensor<3xf32>) {
  // expected-error @+1 {{'nib.dequantize' op its scales are neither one, one for each index of the axis, nor one for each block that divides the input}}
  %0 = nib.dequantize %x scales %s axis 0 : (tensor<2x3xi8>, tensor<3xf32>) -> tensor<2x3xf32>
  return
}

// -----

// Requantizing real numbers.
func.func @f(%x: tensor<2xf32>) {
  // expected-error @+2 {{'nib.requantize' op it must go from an integer format to a quantized one}}
  // expected-error @+1 {{'nib.requantize' op its input has no scale}}
  %0 = nib.requantize %x : (tensor<2xf32>) -> tensor<2x!quant.uniform<i8:f32, 1.0>>
  return
}

// -----

// Packed bytes of another number.
func.func @f(%x: tensor<4xi16>) {
  // expected-error @+1 {{'nib.pack' op 4 packed bytes, but the tensor has 8}}
  %0 = nib.pack %x : (tensor<4xi16>) -> tensor<4xi8>
  return
}

// -----

// Unpacked from too few bytes.
func.func @f(%x: tensor<4xi8>) {
  // expected-error @+1 {{'nib.unpack' op 4 packed bytes, but the tensor has 8}}
  %0 = nib.unpack %x : (tensor<4xi8>) -> tensor<4xi16>
  return
}

// -----

// A kernel that yields another value.
func.func @f(%x: tensor<2xf32>) {
  %0 = nib.kernel "k" {
    %1 = nib.relu %x : (tensor<2xf32>) -> tensor<2xf32>
    // expected-error @+1 {{'nib.yield' op must yield the result of the kernel's last operator}}
    nib.yield %x : tensor<2xf32>
  } : tensor<2xf32>
  return
}

// -----

// A kernel of another type.
func.func @f(%x: tensor<2xf32>) {
  %0 = nib.kernel "k" {
    %1 = nib.relu %x : (tensor<2xf32>) -> tensor<2xf32>
    // expected-error @+1 {{'nib.yield' op yields 'tensor<2xf32>', the kernel's result is 'tensor<3xf32>'}}
    nib.yield %1 : tensor<2xf32>
  } : tensor<3xf32>
  return
}

// -----

// A foreign operation in a kernel.
func.func @f(%x: tensor<2xf32>) {
  %0 = nib.kernel "k" {
    // expected-error @+1 {{'math.exp' is no operator of the nib dialect; a kernel holds nothing else}}
    %1 = math.exp %x : tensor<2xf32>
    %2 = nib.relu %1 : (tensor<2xf32>) -> tensor<2xf32>
    nib.yield %2 : tensor<2xf32>
  } : tensor<2xf32>
  return
}

// -----

// A kernel in a kernel.
func.func @f(%x: tensor<2xf32>) {
  %0 = nib.kernel "k" {
    // expected-error @+1 {{'nib.kernel' is no operator of the nib dialect; a kernel holds nothing else}}
    %1 = nib.kernel "j" {
      %2 = nib.relu %x : (tensor<2xf32>) -> tensor<2xf32>
      nib.yield %2 : tensor<2xf32>
    } : tensor<2xf32>
    nib.yield %1 : tensor<2xf32>
  } : tensor<2xf32>
  return
}

// -----

// A tile of two numbers.
func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{'nib.kernel' op tile has 2 numbers, expected 5}}
  %0 = nib.kernel "k" tile [1, 2] {
    %1 = nib.relu %x : (tensor<2xf32>) -> tensor<2xf32>
    nib.yield %1 : tensor<2xf32>
  } : tensor<2xf32>
  return
}

// -----

// An attribute that does not exist.
func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{'nib.relu' op there is no attribute nib.color}}
  %0 = nib.relu %x {nib.color = 1 : i64} : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

// A negative offset.
func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{'nib.relu' op nib.arena_offset must be an i64 that is not negative}}
  %0 = nib.relu %x {nib.arena_offset = -4 : i64} : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

// A name that is no string.
func.func @f(%x: tensor<2xf32>) {
  // expected-error @+1 {{'nib.relu' op nib.result must be a string}}
  %0 = nib.relu %x {nib.result = 3 : i64} : (tensor<2xf32>) -> tensor<2xf32>
  return
}

// -----

// A format that no table has.
// expected-error @+1 {{there is no number format called "q9_9"}}
func.func @f(%x: tensor<32x!nib.format<"q9_9">>) {
  return
}

// -----

// expected-error @+1 {{the format "f16" is the builtin type f16}}
func.func @f(%x: tensor<32x!nib.format<"f16">>) {
  return
}

// -----

func.func @f(%x: tensor<3x!quant.uniform<i8:f32, 0.5>>) {
  // expected-error @+1 {{'nib.cast' op it takes plain formats: quantize and dequantize have scales}}
  %0 = nib.cast %x : (tensor<3x!quant.uniform<i8:f32, 0.5>>) -> tensor<3xf32>
  return
}

// -----

func.func @f(%x: tensor<2x3xi32>, %m: tensor<3xi32>, %s: tensor<3xf32>) {
  // expected-error @+1 {{'nib.requantize' op multipliers and shifts come together, and without scales}}
  %0 = nib.requantize %x scales %s multipliers %m : (tensor<2x3xi32>, tensor<3xf32>, tensor<3xi32>) -> tensor<2x3xi32>
  return
}

// -----

func.func @f(%x: tensor<2x3xi32>, %m: tensor<3xi32>, %s: tensor<1xi8>) {
  // expected-error @+1 {{'nib.requantize' op its multipliers and shifts differ in number}}
  %0 = nib.requantize %x multipliers %m shifts %s : (tensor<2x3xi32>, tensor<3xi32>, tensor<1xi8>) -> tensor<2x3xi32>
  return
}

// -----

func.func @f(%x: tensor<2x3xi32>) {
  %m = nib.constant dense<-5> : tensor<1xi32>
  %s = nib.constant dense<63> : tensor<1xi8>
  // expected-error @+2 {{'nib.requantize' op entry 0 of its multipliers is -5, outside [0, 2147483647]}}
  // expected-error @+1 {{'nib.requantize' op entry 0 of its shifts is 63, outside [1, 62]}}
  %0 = nib.requantize %x multipliers %m shifts %s : (tensor<2x3xi32>, tensor<1xi32>, tensor<1xi8>) -> tensor<2x3xi32>
  return
}

// -----

func.func @f(%x: tensor<2x3xi64>) {
  %m = nib.constant dense<32768> : tensor<1xi32>
  %s = nib.constant dense<20> : tensor<1xi8>
  // expected-error @+1 {{'nib.requantize' op entry 0 of its multipliers is 32768, outside [0, 32767]}}
  %0 = nib.requantize %x multipliers %m shifts %s : (tensor<2x3xi64>, tensor<1xi32>, tensor<1xi8>) -> tensor<2x3xi32>
  return
}

// -----

func.func @f(%x: tensor<2xi8>) {
  // expected-error @+1 {{'nib.scast' op its input and result must be integers of one width}}
  %0 = nib.scast %x : (tensor<2xi8>) -> tensor<2x!quant.uniform<i16:f32, 1.0>>
  return
}

// -----

// expected-error @+1 {{nib.integer_only has no value}}
func.func @f() attributes {nib.integer_only = true} {
  return
}

// -----

// Not whole blocks.
func.func @f(%x: tensor<16x24x!nib.format<"e2m2:block=16,scale=e8m0">>) {
  // expected-error @+1 {{blocks of 16 do not divide the last dimension}}
  %0 = nib.reshape %x : (tensor<16x24x!nib.format<"e2m2:block=16,scale=e8m0">>) -> tensor<24x16x!nib.format<"e2m2:block=16,scale=e8m0">>
  return
}

// -----

// Blocks are not taken apart.
func.func @f(%x: tensor<2x32x!nib.format<"q4_0">>) {
  // expected-error @+1 {{'nib.concat' op it does not take or give elements in blocks}}
  %0 = nib.concat %x, %x axis 0 : (tensor<2x32x!nib.format<"q4_0">>, tensor<2x32x!nib.format<"q4_0">>) -> tensor<4x32x!nib.format<"q4_0">>
  return
}

// -----

func.func @f(%x: tensor<2x32xf32>) {
  // expected-error @+1 {{'nib.cast' op q4_0 always saturates}}
  %0 = nib.cast %x saturate 0 : (tensor<2x32xf32>) -> tensor<2x32x!nib.format<"q4_0">>
  return
}

// -----

func.func @f(%x: tensor<2x32x!nib.format<"q8_0">>, %w: tensor<3x32x!nib.format<"q4_0">>, %b: tensor<3xf16>) {
  // expected-error @+1 {{a q8_0 input needs a result of the same type}}
  %0 = nib.fully_connected %x, %w bias %b : (tensor<2x32x!nib.format<"q8_0">>, tensor<3x32x!nib.format<"q4_0">>, tensor<3xf16>) -> tensor<2x3xf32>
  return
}
