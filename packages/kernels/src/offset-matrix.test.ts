import {
  defineNumberFormat,
  dequantize,
  packCodes,
  type QuantizedMatrix,
  unsignedLevelTable,
} from '@lbs/format';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createKernels } from './index.js';

const format = defineNumberFormat({
  name: 'offsets',
  privateBits: 4,
  groupSize: 32,
  levelTable: unsignedLevelTable(4),
});
const empty = new Uint8Array(0);

/** A matrix of these codes, with scales around 1. */
function matrixOf(codes: Uint8Array, rows: number, columns: number): QuantizedMatrix {
  const packed = new Uint8Array((rows * columns) / 2);
  for (let r = 0; r < rows; r++)
    packCodes(codes.subarray(r * columns, (r + 1) * columns), 4, packed, (r * columns) / 2);
  const scales = new Uint8Array((rows * columns) / 16);
  for (let i = 0; i < scales.length; i += 2) scales.set([(37 * i) % 256, 0x38 + (i % 8)], i);
  return { format, rows, columns, packed, shared: empty, scales, scaleBases: empty };
}

describe('a quantized matrix with offsets', async () => {
  const kernels = await createKernels();
  const sizes = fc.record({
    rows: fc.integer({ min: 1, max: 37 }),
    units: fc.integer({ min: 1, max: 3 }),
    tokens: fc.integer({ min: 1, max: 9 }),
    seed: fc.nat(),
  });

  test('multiplies, and gives rows, as its weights do', () => {
    fc.assert(
      fc.property(sizes, ({ rows, units, tokens, seed }) => {
        const mark = kernels.mark();
        const columns = 64 * units;
        let state = seed;
        const uniform = () => {
          state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
          return state / 2 ** 31 - 1;
        };
        const codes = Uint8Array.from({ length: rows * columns }, () => 8 * uniform() + 8);
        const offsets = Float32Array.from({ length: (rows * columns) / 32 }, () => 9 * uniform());
        const input = Float32Array.from({ length: tokens * columns }, uniform);
        const quantized = matrixOf(codes, rows, columns);
        const weights = dequantize(quantized).map((weight, i) => weight + offsets[Math.floor(i / 32)]!);
        const matrix = kernels.loadQuantized(quantized, { offsets });
        const [x, y, row] = [4 * input.length, 4 * tokens * rows, 4 * columns].map((size) =>
          kernels.allocate(size),
        );
        kernels.float32(x!, input.length).set(input);
        kernels.multiply(matrix, x!, y!, tokens);
        const output = kernels.float32(y!, tokens * rows).slice();
        for (let token = 0; token < tokens; token++) {
          for (let r = 0; r < rows; r++) {
            let expected = 0;
            let size = 0;
            for (let i = 0; i < columns; i++) {
              const product = weights[r * columns + i]! * input[token * columns + i]!;
              expected += product;
              size += 32 + Math.abs(product);
            }
            // Activations have 16 bits; codes and offsets can be larger than their sum.
            expect(Math.abs(output[token * rows + r]! - expected)).toBeLessThan(size * 2 ** -16);
          }
        }
        kernels.gather(matrix, [rows - 1], row!);
        expect(kernels.float32(row!, columns)).toEqual(weights.slice((rows - 1) * columns));
        kernels.release(mark);
      }),
      { numRuns: 40 },
    );
  });

  test('refuses offsets that are not one for each group', () => {
    const quantized = matrixOf(new Uint8Array(128), 2, 64);
    expect(() => kernels.loadQuantized(quantized, { offsets: new Float32Array(3) })).toThrow(
      /4 weights, not 3/,
    );
    const narrow = { ...quantized, columns: 40, packed: new Uint8Array(64), scales: new Uint8Array(8) };
    expect(() => kernels.loadQuantized(narrow, { offsets: new Float32Array(4) })).toThrow(
      /40 columns are no whole groups of 32/,
    );
  });
});
