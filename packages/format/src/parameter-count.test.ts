import { describe, expect, test } from 'vitest';
import { defineNumberFormat, type NumberFormat, rowLayout } from './number-format.js';
import { int8, lbs3, lbs4 } from './number-formats.js';
import { serializeQuantizationConfig } from './quantization-config.js';
import type { QuantizedMatrix } from './quantized-matrix.js';
import { storeMatrix } from './stored-matrix.js';

/** What hubs take for bookkeeping of quantization, by the last part of a name (huggingface.js, packages/hub). */
const helperSuffixes = new Set([
  'weight_scale',
  'weight_scale_inv',
  'weight_scale_2',
  'weight_global_scale',
  'weight_zero_point',
  'input_scale',
  'input_global_scale',
  'input_zero_point',
  'zero_point',
  'weight_shape',
  'weight_g_idx',
]);

/** The parameters that a hub counts, by the rules for a quantization method that it does not know. */
function countedParameters(matrix: QuantizedMatrix): number {
  const config = serializeQuantizationConfig({
    groups: [{ targets: ['re:.*'], format: matrix.format }],
    provenance: {},
  });
  let count = 0;
  for (const { name, dtype, shape } of storeMatrix('model.layers.0.mlp.up_proj', matrix)) {
    if (helperSuffixes.has(name.split('.').at(-1)!)) continue;
    const packed = dtype === 'U8' && config['bits'] === 4 ? 2 : 1;
    count += packed * shape.reduce((a, b) => a * b, 1);
  }
  return count;
}

function matrixOf(format: NumberFormat): QuantizedMatrix {
  const [rows, columns] = [16, 256];
  const row = rowLayout(format, columns);
  return {
    format,
    rows,
    columns,
    packed: new Uint8Array(rows * row.packedBytes),
    shared: new Uint8Array(rows * row.sharedBytes),
    scales: new Uint8Array(rows * row.scaleBytes),
    scaleBases: new Uint8Array(rows * row.scaleBaseBytes),
    salient: {
      counts: new Uint32Array(rows).fill(1),
      columns: new Uint32Array(rows),
      residuals: new Int8Array(rows).fill(1),
      scales: new Float32Array(rows).fill(1),
    },
  };
}

describe('the parameters that a hub counts', () => {
  const log8 = defineNumberFormat({
    name: 'b4-log8',
    privateBits: 4,
    sharedBits: 2,
    sharingBlock: 16,
    groupSize: 64,
    scaleEncoding: 'log8',
  });
  test.each([int8, lbs4, log8])('are the weights in $name', (format) => {
    expect(countedParameters(matrixOf(format))).toBe(16 * 256);
  });

  test('are fewer where a byte holds something between one and two weights', () => {
    expect(countedParameters(matrixOf(lbs3))).toBe((16 * 256 * 3) / 8);
  });
});
