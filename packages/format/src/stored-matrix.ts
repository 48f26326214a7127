import { decodeScales } from './dequantize.js';
import { MalformedFileError, TensorMismatchError } from './errors.js';
import { float16FromNumber, numberFromFloat16 } from './float16.js';
import { type NumberFormat, rowLayout, scaleBaseCount } from './number-format.js';
import type { QuantizedMatrix, SalientWeights } from './quantized-matrix.js';
import type { SafetensorsDtype } from './safetensors-dtype.js';
import { scaleEncodingOf } from './scale-encoding.js';

/** A tensor as a safetensors file holds it. */
export interface StoredTensor {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Reads a tensor of the open file by name; undefined where the file has none of that name. */
export type StoredTensorReader = (name: string) => Promise<FoundTensor | undefined>;

/** A tensor as a file gives it, not checked yet. */
export interface FoundTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/**
 * Suffixes of the tensors that stand in for `<module>.weight` (SPEC 8). All but the private codes end in a name that
 * model hubs know as a helper of quantization, and do not count as parameters (SPEC 11).
 */
export const storedSuffixes = {
  shape: 'weight_shape',
  packed: 'weight_packed',
  shared: 'shared.weight_g_idx',
  scales: 'weight_scale',
  scaleBases: 'weight_scale_2',
  zeroPoints: 'weight_zero_point',
  salientCounts: 'salient.weight_shape',
  salientColumns: 'salient.weight_g_idx',
  salientResiduals: 'salient.weight_zero_point',
  salientScales: 'salient.weight_scale',
} as const;

/** The tensors that a quantized matrix is stored as, in place of `<module>.weight`. */
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
  if (salient && salient.columns.length > 0) {
    const { columns: salientColumns, residuals } = salient;
    const count = narrowest(salient.counts);
    const column = narrowest(salientColumns);
    const scales = Uint16Array.from(
      salient.scales.filter((_, r) => salient.counts[r]! > 0),
      float16FromNumber,
    );
    add(storedSuffixes.salientCounts, count.dtype, [rows], count.bytes);
    add(storedSuffixes.salientColumns, column.dtype, [salientColumns.length], column.bytes);
    add(storedSuffixes.salientResiduals, 'I8', [residuals.length], bytesOf(residuals));
    add(storedSuffixes.salientScales, 'F16', [scales.length], bytesOf(scales));
  }
  return tensors;
}

function bytesOf(array: Int8Array | Uint16Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** Stores indices in the smallest of U8, U16 and U32 that holds them all. */
function narrowest(values: Uint32Array): { dtype: SafetensorsDtype; bytes: Uint8Array } {
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  if (most <= 0xff) return { dtype: 'U8', bytes: Uint8Array.from(values) };
  if (most <= 0xffff) return { dtype: 'U16', bytes: bytesOf(Uint16Array.from(values)) };
  return { dtype: 'U32', bytes: new Uint8Array(values.slice().buffer) };
}

/**
 * Reads the quantized matrix of `<module>.weight` in the given format. Throws MalformedFileError where a part
 * is missing, TensorMismatchError where a dtype or shape is not the format's, and MalformedFileError where
 * a scale is not finite or salient indices run outside of the matrix.
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
  const salient = await loadSalientWeights(part, rows, columns);
  const matrix: QuantizedMatrix = {
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
    ...(salient && { salient }),
  };
  const bad = decodeScales(matrix).findIndex((scale) => !Number.isFinite(scale));
  if (bad >= 0) {
    const place = `group ${bad % row.groups} of row ${Math.floor(bad / row.groups)}`;
    part.malformed(storedSuffixes.scales, `the scale of ${place} is not finite`);
  }
  return matrix;
}

async function loadSalientWeights(
  part: PartReader,
  rows: number,
  columns: number,
): Promise<SalientWeights | undefined> {
  const counts = await part.indices(storedSuffixes.salientCounts, rows);
  if (!counts) return undefined;
  const total = counts.reduce((sum, count) => sum + count, 0);
  const filled = counts.reduce((sum, count) => sum + (count > 0 ? 1 : 0), 0);
  const salientColumns = await part.indices(storedSuffixes.salientColumns, total);
  if (!salientColumns) throw part.missing(storedSuffixes.salientColumns);
  const residuals = await part.required(storedSuffixes.salientResiduals, 'I8', [total]);
  const stored = await part.required(storedSuffixes.salientScales, 'F16', [filled]);
  const scales = new Float32Array(rows);
  let next = 0;
  let start = 0;
  for (let r = 0; r < rows; r++) {
    const end = start + counts[r]!;
    if (end > start) {
      scales[r] = numberFromFloat16(stored[2 * next]! | (stored[2 * next + 1]! << 8));
      next++;
      if (!Number.isFinite(scales[r]))
        part.malformed(storedSuffixes.salientScales, `the scale of row ${r} is not finite`);
    }
    for (let i = start; i < end; i++) {
      const column = salientColumns[i]!;
      if (column >= columns || (i > start && column <= salientColumns[i - 1]!)) {
        part.malformed(
          storedSuffixes.salientColumns,
          `column ${column} of row ${r} is out of range or out of order`,
        );
      }
    }
    start = end;
  }
  return { counts, columns: salientColumns, residuals: new Int8Array(residuals.slice().buffer), scales };
}

/** Reads the parts of one module and checks each against what the format asks for. */
class PartReader {
  constructor(
    private readonly module: string,
    private readonly read: StoredTensorReader,
    private readonly file: string | undefined,
  ) {}

  async required(suffix: string, dtype: SafetensorsDtype, shape: readonly number[]): Promise<Uint8Array> {
    const tensor = await this.read(`${this.module}.${suffix}`);
    if (!tensor) throw this.missing(suffix);
    this.check(suffix, tensor, [dtype], shape);
    return tensor.bytes;
  }

  /** A list of `length` indices in U8, U16 or U32; undefined where the file has no such tensor. */
  async indices(suffix: string, length: number): Promise<Uint32Array | undefined> {
    const tensor = await this.read(`${this.module}.${suffix}`);
    if (!tensor) return undefined;
    this.check(suffix, tensor, ['U8', 'U16', 'U32'], [length]);
    const { buffer } = tensor.bytes.slice();
    if (tensor.dtype === 'U8') return Uint32Array.from(tensor.bytes);
    return tensor.dtype === 'U16' ? Uint32Array.from(new Uint16Array(buffer)) : new Uint32Array(buffer);
  }

  missing(suffix: string): MalformedFileError {
    return new MalformedFileError('the tensor is missing', {
      file: this.file,
      tensor: `${this.module}.${suffix}`,
      mend: 'The file may be incomplete: quantize the model again or copy it anew.',
    });
  }

  malformed(suffix: string, problem: string): never {
    throw new MalformedFileError(problem, { file: this.file, tensor: `${this.module}.${suffix}` });
  }

  private check(
    suffix: string,
    tensor: FoundTensor,
    dtypes: readonly SafetensorsDtype[],
    shape: readonly number[],
  ): void {
    const fits = tensor.shape.length === shape.length && shape.every((size, i) => tensor.shape[i] === size);
    if (fits && dtypes.some((dtype) => dtype === tensor.dtype)) return;
    throw new TensorMismatchError(
      `expected ${dtypes.join(' or ')} [${shape.join(', ')}], found ${tensor.dtype} [${tensor.shape.join(', ')}]`,
      {
        file: this.file,
        tensor: `${this.module}.${suffix}`,
        mend: 'The quantization_config of the model may not be its own.',
      },
    );
  }
}
