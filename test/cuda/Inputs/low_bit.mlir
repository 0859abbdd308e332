// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Dense layers of one row, of some and of many, with activations of each type; the format of the weights is given by
// --weight-format.
func.func @net(%a: tensor<1x1024xf16>, %b: tensor<16x1024xbf16>, %c: tensor<5x1024xf32>,
               %e: tensor<4000x1024xf16>, %f: tensor<4000x1024xbf16>, %g: tensor<130x1024xbf16>)
    -> (tensor<1x1024xf16>, tensor<16x1024xbf16>, tensor<5x1024xf32>, tensor<4000x1024xf16>,
        tensor<4000x1024xbf16>, tensor<130x1024xbf16>) {
  %w = nib.constant dense<0.3> : tensor<1024x1024xf32> loc("w")
  %bias = nib.constant dense<1.5> : tensor<1024xf32>
  %ya = nib.fully_connected %a, %w : (tensor<1x1024xf16>, tensor<1024x1024xf32>) -> tensor<1x1024xf16>
  %yb = nib.fully_connected %b, %w bias %bias : (tensor<16x1024xbf16>, tensor<1024x1024xf32>, tensor<1024xf32>) -> tensor<16x1024xbf16>
  %yc = nib.fully_connected %c, %w : (tensor<5x1024xf32>, tensor<1024x1024xf32>) -> tensor<5x1024xf32>
  %ye = nib.fully_connected %e, %w : (tensor<4000x1024xf16>, tensor<1024x1024xf32>) -> tensor<4000x1024xf16>
  %yf = nib.fully_connected %f, %w bias %bias : (tensor<4000x1024xbf16>, tensor<1024x1024xf32>, tensor<1024xf32>) -> tensor<4000x1024xbf16>
  %yg = nib.fully_connected %g, %w : (tensor<130x1024xbf16>, tensor<1024x1024xf32>) -> tensor<130x1024xbf16>
  return %ya, %yb, %yc, %ye, %yf, %yg : tensor<1x1024xf16>, tensor<16x1024xbf16>, tensor<5x1024xf32>, tensor<4000x1024xf16>, tensor<4000x1024xbf16>, tensor<130x1024xbf16>
}
