import { describe, expect, test } from 'vitest';
import vectors from '../conformance/vectors.json' with { type: 'json' };
import { packCodes, packSharedCodes } from './bit-planes.js';
import { dequantize } from './dequantize.js';
import { formatVersion } from './format-version.js';
import { rowLayout } from './number-format.js';
import { numberFormats } from './number-formats.js';
import { parseQuantizationConfig } from './quantization-config.js';
import { scaleEncodings } from './scale-encoding.js';
import { loadMatrix, storeMatrix } from './stored-matrix.js';
import type { FoundTensor } from './stored-tensor.js';

// conformance/read_lbs.py, written from SPEC.md alone, reproduces the same vectors.

const bytesOf = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
const hexOf = (array: ArrayBufferView) =>
  Array.from(new Uint8Array(array.buffer, array.byteOffset, array.byteLength), (byte) =>
    byte.toString(16).padStart(2, '0'),
  ).join('');

type Vector = (typeof vectors.cases)[number];
type StoredVector = Pick<Vector, 'module' | 'weights' | 'tensors'>;

function formatOf({ module, weights }: StoredVector) {
  const config = {
    quant_method: 'lbs',
    format_version: vectors.format_version,
    config_groups: { group_0: { targets: [module], weights } },
  };
  return parseQuantizationConfig(config).groups[0]!.format;
}

function loadVector(vector: StoredVector) {
  const tensors = new Map<string, FoundTensor>(
    vector.tensors.map(({ suffix, dtype, shape, hex }) => [
      `${vector.module}.${suffix}`,
      { dtype, shape, bytes: bytesOf(hex) },
    ]),
  );
  return loadMatrix(vector.module, formatOf(vector), async (name) => tensors.get(name));
}

describe('conformance vectors', () => {
  test('are of this version, and of every format and scale encoding', () => {
    expect(vectors.format_version).toBe(formatVersion);
    const formats = vectors.cases.map(formatOf);
    for (const format of numberFormats) expect(formats).toContainEqual(format);
    expect(new Set(formats.map((format) => format.scaleEncoding))).toEqual(
      new Set(Object.keys(scaleEncodings)),
    );
  });

  test.each(vectors.cases)(
    '$module, $weights.name, $about: a reader gets the output, bit for bit',
    async (vector) => {
      const matrix = await loadVector(vector);
      expect([matrix.rows, matrix.columns]).toEqual(vector.shape);
      expect(hexOf(dequantize(matrix))).toBe(vector.output);
    },
  );

  test.each(vectors.cases)('$module, $weights.name, $about: a writer gets the bytes', async (vector) => {
    const { format, rows, columns, ...parts } = await loadVector(vector);
    const row = rowLayout(format, columns);
    const packed = new Uint8Array(rows * row.packedBytes);
    const shared = new Uint8Array(rows * row.sharedBytes);
    const [codes, sharedCodes] = [bytesOf(vector.private_codes), bytesOf(vector.shared_codes)];
    for (let r = 0; r < rows; r++) {
      const rowCodes = codes.subarray(r * columns, (r + 1) * columns);
      packCodes(rowCodes, format.privateBits, packed, r * row.packedBytes);
      const rowShared = sharedCodes.subarray(r * row.blocks, (r + 1) * row.blocks);
      packSharedCodes(rowShared, format.sharedBits, shared, r * row.sharedBytes);
    }
    const written = storeMatrix(vector.module, { format, rows, columns, ...parts, packed, shared }).map(
      ({ name, dtype, shape, bytes }) => ({
        suffix: name.slice(vector.module.length + 1),
        dtype,
        shape,
        hex: hexOf(bytes),
      }),
    );
    expect(written).toEqual(vector.tensors);
  });

  test.each(vectors.refused)('$about: a reader refuses it', async (vector) => {
    await expect(loadVector(vector)).rejects.toMatchObject({
      code: expect.stringMatching(/^LBS_(MALFORMED_FILE|TENSOR_MISMATCH)$/),
      tensor: expect.stringMatching(/^refused\.salient\./),
    });
  });
});
