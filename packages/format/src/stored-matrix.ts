import { decodeScales } from './dequantize.js';
import { type NumberFormat, rowLayout, scaleBaseCount } from './number-format.js';
import { PartReader } from './part-reader.js';
import type { QuantizedMatrix } from './quantized-matrix.js';
import type { SafetensorsDtype } from './safetensors-dtype.js';
import { scaleEncodingOf } from './scale-encoding.js';
import { loadSalientWeights, storeSalientWeights } from './stored-salient-weights.js';
import { type StoredTensor, type StoredTensorReader, storedSuffixes } from './stored-tensor.js';

/**
 * The tensors that a quantized matrix is stored as, in place of `<module>.weight`. Throws InvalidArgumentError where the salient
 * weights are out of order or outside of the matrix, or their scales are not ones that `chooseSalientScales` gives.
 */
export function storeMatrix(module: string, matrix: QuantizedMatrix): StoredTensor[] {
  const { format, rows, columns, salient } = matrix;
  const row = rowLayout(format, columns);
  const tensors: StoredTensor[] = [];
  const add = (suffix: string, dtype: SafetensorsDtype, shape: number[], bytes: Uint8Array) =>
    tensors.push({ name: `${module}.${suffix}`, dtype, shape, bytes });

  add(storedSuffixes.shape, 'I32', [2], new Uint8Array(Int32Array.of(rows, columns).buffer));
  add(storedSuffixes.packed, 'U8', [rows, row.packedBytes], matrix.packed);
  if (row.sharedBytes > 0) add(storedSuffixes.shared, 'U8', [rows, row.sharedBytes], matrix.shared);
  const { dtype, base } = scaleEncodingOf(format);
  add(storedSuffixes.scales, dtype, [rows, row.groups], matrix.scales);
  if (base)
    add(storedSuffixes.scaleBases, base.encoding.dtype, [scaleBaseCount(format, rows)], matrix.scaleBases);
  if (matrix.zeroPoints) add(storedSuffixes.zeroPoints, 'U8', [rows, row.groups], matrix.zeroPoints);
  if (salient) for (const part of storeSalientWeights(salient, rows, columns)) add(...part);
  return tensors;
}

/**
 * Reads the quantized matrix of `<module>.weight` in the given format. Throws MalformedFileError where a part
 * is missing, TensorMismatchError where a dtype or shape is not the format's, and MalformedFileError where
 * a scale is not finite or the salient weights break a rule of SPEC 7.
 */
export async function loadMatrix(
  module: string,
  format: NumberFormat,
  read: StoredTensorReader,
  file?: string,
): Promise<QuantizedMatrix> {
  const part = new PartReader(module, read, file);
  const shape = await part.required(storedSuffixes.shape, 'I32', [2]);
  const [rows, columns] = new Int32Array(shape.slice().buffer) as unknown as [number, number];
  if (!(rows > 0 && columns > 0))
    part.malformed(storedSuffixes.shape, `the shape ${rows} x ${columns} is empty`);
  const row = rowLayout(format, columns);
  const hasShared = row.sharedBytes > 0;
  const { dtype: scaleDtype, base } = scaleEncodingOf(format);
  const none = new Uint8Array();
  const dense: QuantizedMatrix = {
    format,
    rows,
    columns,
    packed: await part.required(storedSuffixes.packed, 'U8', [rows, row.packedBytes]),
    shared: hasShared ? await part.required(storedSuffixes.shared, 'U8', [rows, row.sharedBytes]) : none,
    scales: await part.required(storedSuffixes.scales, scaleDtype, [rows, row.groups]),
    scaleBases: base
      ? await part.required(storedSuffixes.scaleBases, base.encoding.dtype, [scaleBaseCount(format, rows)])
      : none,
    ...(format.zeroPoint && {
      zeroPoints: await part.required(storedSuffixes.zeroPoints, 'U8', [rows, row.groups]),
    }),
  };
  const bad = decodeScales(dense).findIndex((scale) => !Number.isFinite(scale));
  if (bad >= 0) {
    const place = `group ${bad % row.groups} of row ${Math.floor(bad / row.groups)}`;
    part.malformed(storedSuffixes.scales, `the scale of ${place} is not finite`);
  }
  // Behind the codes: only a file that holds them justifies buffers of a length that follows from the rows.
  const salient = await loadSalientWeights(part, rows, columns);
  return salient ? { ...dense, salient } : dense;
}
