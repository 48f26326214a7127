import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dequantize } from './dequantize.js';
import { defineNumberFormat, denseBytes, type NumberFormat, partSizes, rowLayout } from './number-format.js';
import { int8, lbs3, mxfp4, numberFormats, nvfp4, zeroPointFormat } from './number-formats.js';
import type { QuantizedMatrix, SalientWeights } from './quantized-matrix.js';
import { serializeSafetensorsHeader } from './safetensors-header.js';
import { chooseSalientScales } from './salient-scales.js';
import { type ScaleEncodingName, scaleEncodings } from './scale-encoding.js';
import { loadMatrix, storeMatrix } from './stored-matrix.js';
import type { StoredTensor } from './stored-tensor.js';

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

/** The example of SPEC 7. */
const salient: SalientWeights = {
  counts: Uint32Array.of(2, 0, 1),
  columns: Uint32Array.of(0, 299, 7),
  residuals: Int8Array.of(-127, 5, 127),
  scales: Float32Array.of(0.5, 0, 0.5 * 2 ** (-1 / 32)),
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

  test('salient weights are stored as the example of SPEC 7, and add to their dense value', async () => {
    const dense = arbitraryMatrix(int8, 3, 300, 1);
    const matrix = { ...dense, salient };
    const tensors = storeMatrix('m', matrix);
    expect(tensors.filter(({ name }) => name.startsWith('m.salient.'))).toEqual([
      {
        name: 'm.salient.weight_g_idx',
        dtype: 'U8',
        shape: [4],
        bytes: Uint8Array.of(0x00, 0x52, 0x69, 0x06),
      },
      {
        name: 'm.salient.weight_zero_point',
        dtype: 'I8',
        shape: [3],
        bytes: Uint8Array.of(0x81, 0x05, 0x7f),
      },
      { name: 'm.salient.weight_scale', dtype: 'U8', shape: [2], bytes: Uint8Array.of(0x00, 0x01) },
      { name: 'm.salient.weight_scale_2', dtype: 'F16', shape: [1], bytes: Uint8Array.of(0x00, 0x38) },
    ]);
    expect(await loadMatrix('m', int8, reader(tensors))).toEqual(matrix);
    const [plain, added] = [dequantize(dense), dequantize(matrix)];
    expect(added[0]).toBe(Math.fround(plain[0]! - 63.5));
    expect(added[299]).toBe(Math.fround(plain[299]! + 2.5));
    expect(added[607]).toBe(Math.fround(plain[607]! + Math.fround(127 * salient.scales[2]!)));
    expect(added.filter((weight, i) => weight !== plain[i])).toHaveLength(3);
  });

  test('the value of a salient weight is rounded before it is added', () => {
    const columns = Uint32Array.from({ length: 127 }, (_, column) => column);
    const residuals = Int8Array.from(columns, (column) => column + 1);
    const scales = Float32Array.of(0.5 * 2 ** (-1 / 32));
    const dense = arbitraryMatrix(int8, 1, 127, 1);
    const codes = dequantize(dense);
    const expected = codes.map((code, i) => code + Math.fround(scales[0]! * residuals[i]!));
    const salient = { counts: Uint32Array.of(127), columns, residuals, scales };
    expect(dequantize({ ...dense, salient })).toEqual(expected);
    expect(codes.map((code, i) => code + scales[0]! * residuals[i]!)).not.toEqual(expected);
  });

  test('salient weights of any matrix come back', async () => {
    const row = fc.record({
      columns: fc.uniqueArray(fc.nat(199), { maxLength: 20 }),
      largest: fc.double({ min: 1e-9, max: 1e3, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(row, { minLength: 1, maxLength: 6 }), fc.nat(), async (rows, seed) => {
        const columns = rows.flatMap((row) => [...row.columns].sort((a, b) => a - b));
        const matrix: QuantizedMatrix = {
          ...arbitraryMatrix(int8, rows.length, 200, seed),
          salient: {
            counts: Uint32Array.from(rows, (row) => row.columns.length),
            columns: Uint32Array.from(columns),
            residuals: Int8Array.from(columns, (column, i) => column * i + seed),
            scales: chooseSalientScales(rows.map((row) => (row.columns.length > 0 ? row.largest : 0))),
          },
        };
        const { salient, ...dense } = matrix;
        const loaded = await loadMatrix('m', int8, reader(storeMatrix('m', matrix)));
        expect(loaded).toEqual(columns.length > 0 ? { ...dense, salient } : dense);
      }),
    );
  });

  test.each([
    [
      'scales',
      { scales: Float32Array.of(0.5, 0, 0.3) },
      /the scale 0.3\d* of salient weights cannot be stored/,
    ],
    ['scales of fewer rows', { scales: Float32Array.of(0.5, 0) }, /3 residuals and 2 scales/],
    ['fewer residuals', { residuals: Int8Array.of(1) }, /1 residuals and 3 scales/],
    ['columns', { columns: Uint32Array.of(0, 300, 7) }, /columns of the salient weights of row 0/],
  ])('salient weights with %s that cannot be stored are refused', (_, change, message) => {
    const matrix = { ...arbitraryMatrix(int8, 3, 300, 1), salient: { ...salient, ...change } };
    expect(() => storeMatrix('m', matrix)).toThrow(message);
  });

  const stored = storeMatrix('m', { ...arbitraryMatrix(lbs3, 3, 300, 2), salient });
  const change = (suffix: string, edit: (tensor: StoredTensor) => StoredTensor | undefined) =>
    reader(stored.flatMap((t) => (t.name === `m.${suffix}` ? (edit(t) ?? []) : t)));

  test.each(stored.map(({ name }) => name))('a missing %s is named', async (name) => {
    const read = change(name.slice(2), () => undefined);
    await expect(loadMatrix('m', lbs3, read, 'a.safetensors')).rejects.toThrow(
      `a.safetensors, tensor "${name}": the tensor is missing`,
    );
  });

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

  test.each([
    [
      'a salient base that is not finite',
      'weight_scale_2',
      [0x00, 0x7c],
      /the base Infinity is not the smallest/,
    ],
    [
      'a salient base above the largest scale',
      'weight_scale',
      [0x01, 0xff],
      /weight_scale_2": the base 0.5 is not/,
    ],
    ['a list of positions that is too short', 'weight_g_idx', [0x00, 0x52, 0x69], /ends before number 2/],
    [
      'a bit behind the last position',
      'weight_g_idx',
      [0x00, 0x52, 0x69, 0x26],
      /goes on behind the last one/,
    ],
    ['a salient weight outside of the matrix', 'weight_g_idx', [0x0f, 0, 0, 0], /weight 0 lies outside/],
    ['an empty list of salient weights', 'weight_zero_point', [], /is empty/],
  ])('%s is refused', async (_, suffix, bytes, message) => {
    const read = change(`salient.${suffix}`, (tensor) => ({
      ...tensor,
      shape: [bytes.length / (tensor.dtype === 'F16' ? 2 : 1)],
      bytes: Uint8Array.from(bytes),
    }));
    await expect(loadMatrix('m', lbs3, read)).rejects.toThrow(message);
    await expect(loadMatrix('m', lbs3, read)).rejects.toMatchObject({ code: 'LBS_MALFORMED_FILE' });
  });

  test('salient weights in another number of rows than there are scales are refused', async () => {
    const read = change('salient.weight_g_idx', (tensor) => ({ ...tensor, bytes: new Uint8Array(4) }));
    await expect(loadMatrix('m', lbs3, read)).rejects.toThrow(
      /salient.weight_scale": expected U8 \[1\], found U8 \[2\]/,
    );
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
});
