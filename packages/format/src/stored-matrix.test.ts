import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dequantize } from './dequantize.js';
import { defineNumberFormat, denseBytes, type NumberFormat, partSizes, rowLayout } from './number-format.js';
import { int8, lbs3, mxfp4, numberFormats, nvfp4, zeroPointFormat } from './number-formats.js';
import type { QuantizedMatrix, SalientWeights } from './quantized-matrix.js';
import { serializeSafetensorsHeader } from './safetensors-header.js';
import { type ScaleEncodingName, scaleEncodings } from './scale-encoding.js';
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
    scaleBases: bytes(partSizes(format, rows, columns).scaleBases, 0x3f),
    ...(format.zeroPoint && { zeroPoints: bytes(rows * row.zeroPointBytes) }),
  };
}

/** The formats of the package, and each scale encoding with 4-bit codes. */
const formats = [
  ...numberFormats,
  ...Object.values(scaleEncodings).map(({ name }) =>
    defineNumberFormat({
      name: `4-bit-${name}`,
      privateBits: 4,
      groupSize: 32,
      scaleEncoding: name as ScaleEncodingName,
    }),
  ),
];

const salient: SalientWeights = {
  counts: Uint32Array.of(2, 0, 1),
  columns: Uint32Array.of(0, 299, 7),
  residuals: Int8Array.of(-127, 5, 127),
  scales: Float32Array.of(0.5, 0, 2 ** -14),
};

const reader = (tensors: readonly StoredTensor[]) => async (name: string) =>
  tensors.find((t) => t.name === name);

describe('stored matrices', () => {
  test.each(formats)(
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
            const { bytes, fileSize } = serializeSafetensorsHeader(tensors);
            const shapeBytes = 8;
            expect(fileSize - bytes.length - shapeBytes).toBe(denseBytes(format, rows, columns));
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
    ['a binary16 infinity', int8, 'weight_scale', 'scales', [0x00, 0x7c]],
    ['the E8M0 code of NaN', mxfp4, 'weight_scale', 'scales', [0xff]],
    ['the E4M3 code of NaN', nvfp4, 'weight_scale', 'scales', [0x7f]],
    ['a tensor scale that is NaN', nvfp4, 'weight_scale', 'scaleBases', [0, 0, 0xc0, 0x7f]],
    ['a row base that is infinite', lbs3, 'weight_scale', 'scaleBases', [0x00, 0x7c]],
  ] as const)('%s is refused', async (_, format, suffix, part, code) => {
    const matrix = arbitraryMatrix(format, 2, 64, 3);
    matrix[part].set(code);
    await expect(loadMatrix('m', format, reader(storeMatrix('m', matrix)))).rejects.toThrow(
      `tensor "m.${suffix}": the scale of group 0 of row 0 is not finite`,
    );
  });

  test('a residual scale that is not finite is refused', async () => {
    const read = change('salient.weight_scale', (tensor) => ({
      ...tensor,
      bytes: Uint8Array.of(0, 0x7c, 0, 0x3c),
    }));
    await expect(loadMatrix('m', lbs3, read)).rejects.toThrow(/salient.weight_scale": the scale of row 0/);
  });

  test('zero-points take the place of the centre', async () => {
    const format = zeroPointFormat(2);
    const matrix: QuantizedMatrix = {
      format,
      rows: 1,
      columns: 66,
      packed: new Uint8Array(32).fill(0b11100100),
      shared: new Uint8Array(0),
      scales: Uint8Array.of(0x00, 0x38, 0x00, 0x3c),
      scaleBases: new Uint8Array(0),
      zeroPoints: Uint8Array.of(1, 255),
    };
    const weights = dequantize(matrix);
    expect([weights[0], weights[16], weights[32], weights[48], weights[64]]).toEqual([-0.5, 0, 0.5, 1, -255]);
    const stored = storeMatrix('m', matrix);
    expect(stored.find(({ name }) => name === 'm.weight_zero_point')).toMatchObject({
      dtype: 'U8',
      shape: [1, 2],
    });
    const without = stored.filter(({ name }) => name !== 'm.weight_zero_point');
    await expect(loadMatrix('m', format, reader(without))).rejects.toThrow(
      /weight_zero_point": the tensor is missing/,
    );
  });

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
