import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dequantize } from './dequantize.js';
import { denseBytes, type NumberFormat, rowLayout } from './number-format.js';
import { int8, lbs3, numberFormats } from './number-formats.js';
import type { QuantizedMatrix, SalientWeights } from './quantized-matrix.js';
import { loadMatrix, type StoredTensor, storeMatrix } from './stored-matrix.js';

/** A matrix of arbitrary bytes: every byte string is valid codes. Scales are small finite binary16 values. */
function arbitraryMatrix(format: NumberFormat, rows: number, columns: number, seed: number): QuantizedMatrix {
  let state = seed;
  const bytes = (length: number, mask = 0xff) =>
    Uint8Array.from({ length }, () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state >>> 24) & mask;
    });
  const row = rowLayout(format, columns);
  return {
    format,
    rows,
    columns,
    packed: bytes(rows * row.packedBytes),
    shared: bytes(rows * row.sharedBytes),
    scales: bytes(rows * row.scaleBytes, 0x3f),
    scaleBases: bytes(rows * row.scaleBaseBytes, 0x3f),
  };
}

const salient: SalientWeights = {
  counts: Uint32Array.of(2, 0, 1),
  columns: Uint32Array.of(0, 299, 7),
  residuals: Int8Array.of(-127, 5, 127),
  scales: Float32Array.of(0.5, 0, 2 ** -14),
};

const reader = (tensors: readonly StoredTensor[]) => async (name: string) =>
  tensors.find((t) => t.name === name);

describe('stored matrices', () => {
  test.each(numberFormats)(
    '$name: what is stored is read back, and has the bytes that the rate promises',
    async (format) => {
      await fc.assert(
        fc.asyncProperty(
          fc.nat(),
          fc.integer({ min: 1, max: 4 }),
          fc.integer({ min: 1, max: 200 }),
          async (seed, rows, columns) => {
            const matrix = arbitraryMatrix(format, rows, columns, seed);
            const tensors = storeMatrix('m', matrix);
            expect(await loadMatrix('m', format, reader(tensors))).toEqual(matrix);
            const stored = tensors.filter(({ name }) => name !== 'm.weight_shape');
            expect(stored.reduce((sum, { bytes }) => sum + bytes.length, 0)).toBe(
              denseBytes(format, rows, columns),
            );
          },
        ),
        { numRuns: 20 },
      );
    },
  );

  test('salient weights are stored in the narrowest types and add to their dense value', async () => {
    const dense = arbitraryMatrix(int8, 3, 300, 1);
    const matrix = { ...dense, salient };
    const tensors = storeMatrix('m', matrix);
    const dtypes = Object.fromEntries(tensors.map(({ name, dtype }) => [name.slice('m.'.length), dtype]));
    expect(dtypes).toMatchObject({
      'salient.weight_shape': 'U8',
      'salient.weight_g_idx': 'U16',
      'salient.weight_zero_point': 'I8',
      'salient.weight_scale': 'F16',
    });
    expect(tensors.find(({ name }) => name.endsWith('salient.weight_scale'))!.shape).toEqual([2]);
    expect(await loadMatrix('m', int8, reader(tensors))).toEqual(matrix);
    const [plain, added] = [dequantize(dense), dequantize(matrix)];
    expect(added[0]).toBe(Math.fround(plain[0]! - 63.5));
    expect(added[299]).toBe(Math.fround(plain[299]! + 2.5));
    expect(added[607]).toBe(Math.fround(plain[607]! + 127 * 2 ** -14));
    expect(added.filter((weight, i) => weight !== plain[i])).toHaveLength(3);
  });

  const stored = storeMatrix('m', { ...arbitraryMatrix(lbs3, 3, 300, 2), salient });
  const change = (suffix: string, edit: (tensor: StoredTensor) => StoredTensor | undefined) =>
    reader(stored.flatMap((t) => (t.name === `m.${suffix}` ? (edit(t) ?? []) : t)));

  test.each(stored.map(({ name }) => name).filter((name) => !name.endsWith('salient.weight_shape')))(
    'a missing %s is named',
    async (name) => {
      const read = change(name.slice(2), () => undefined);
      await expect(loadMatrix('m', lbs3, read, 'a.safetensors')).rejects.toThrow(
        `a.safetensors, tensor "${name}": the tensor is missing`,
      );
    },
  );

  test.each(stored.map(({ name }) => name.slice(2)))(
    '%s of another dtype or shape is refused',
    async (suffix) => {
      const otherDtype = change(suffix, (tensor) => ({ ...tensor, dtype: 'BOOL' }));
      await expect(loadMatrix('m', lbs3, otherDtype)).rejects.toMatchObject({ code: 'LBS_TENSOR_MISMATCH' });
      const otherShape = change(suffix, (tensor) => ({ ...tensor, shape: [...tensor.shape, 1] }));
      await expect(loadMatrix('m', lbs3, otherShape)).rejects.toMatchObject({ code: 'LBS_TENSOR_MISMATCH' });
    },
  );

  test.each([
    ['outside of the row', [0, 300, 7]],
    ['out of order', [9, 9, 7]],
  ])('a salient column %s is refused', async (_, columns) => {
    const read = change('salient.weight_g_idx', (tensor) => ({
      ...tensor,
      bytes: new Uint8Array(Uint16Array.from(columns as number[]).buffer),
    }));
    await expect(loadMatrix('m', lbs3, read)).rejects.toMatchObject({ code: 'LBS_MALFORMED_FILE' });
  });
});
