import {
  assertQuantizedMatrix,
  decodeScales,
  InvalidArgumentError,
  packingUnit,
  type QuantizedMatrix,
  rowLayout,
  type SalientWeights,
} from '@lbs/format';
import type { ActivationPrecision } from './activations.js';
import type { Arena, Pointer } from './arena.js';
import { type DecodingPlan, decoders, planDecoding } from './decoding-plan.js';
import type { Matrix, MatrixOperations } from './matrix.js';
import { type ProductKernels, productOf } from './quantized-products.js';
import { type RecordLayout, recordLayout } from './quantized-records.js';
import type { DecoderExports } from './wasm-exports.js';

/** Parts of a record are read a vector at a time, up to this many bytes behind the last one. */
const readAhead = 16;
/** Rows that are copied at a time. */
const rowBlock = 64;

/** How a quantized matrix is loaded. */
export interface LoadOptions {
  /** What its products do with activations. Default `int16`. */
  readonly activations?: ActivationPrecision;
  /** [rows, groups] what is added to all weights of a group. Default none. */
  readonly offsets?: Float32Array | undefined;
}

/**
 * Copies a quantized matrix into the memory: codes as they are stored, in another order, scales as float32, salient weights as compressed rows.
 * Throws InvalidArgumentError where a part has the wrong size.
 */
export function loadQuantizedMatrix(
  kernels: ProductKernels,
  matrix: QuantizedMatrix,
  { activations = 'int16' }: LoadOptions,
): [Matrix, MatrixOperations] {
  assertQuantizedMatrix(matrix);
  const { arena, wasm } = kernels;
  const { format, rows, columns } = matrix;
  const plan = planDecoding(format);
  const layout = recordLayout(matrix, plan);
  const start = arena.mark();
  const header = writeQuantizedMatrix(kernels, matrix, plan, layout);
  const bytes = arena.mark() - start;
  // The operations must not hold on to `matrix`: its bytes are in the memory now.
  const loaded = { header, plan, layout, matrix: { format, rows, columns }, hasSalient: !!matrix.salient };
  const panelBytes = 8 * packingUnit * layout.units;
  return [
    { rows, columns, bytes },
    {
      multiply: productOf(kernels, loaded, activations),
      copyRow: (row, output) =>
        arena.withScratch(() => wasm.dequantizeRow(header, row, output, arena.allocate(panelBytes))),
    },
  ];
}

/** Writes the parts and the `QuantizedHeader` of assembly/quantized-header.ts; returns the header's address. */
function writeQuantizedMatrix(
  { arena, wasm }: ProductKernels,
  matrix: QuantizedMatrix,
  plan: DecodingPlan,
  layout: RecordLayout,
): Pointer {
  const { format, rows, columns, salient } = matrix;
  const recordBytes = layout.quads * layout.units * layout.bytes;
  const records = arena.allocate(recordBytes + readAhead);
  arena.uint8(records, recordBytes).fill(0);
  const sharedRows = plan.decoder === 'lookup' ? copyBytes(arena, matrix.shared, readAhead) : 0;
  const tables = copyBytes(arena, plan.tables);
  const patterns = copyBytes(arena, plan.patterns);
  const salientParts = salient ? copySalient(arena, salient, rows, columns) : [0, 0, 0];
  const fields = [
    ...[0, rows, columns, layout.units, layout.chunkColumns],
    ...[format.privateBits, format.sharedBits, format.sharingBlock, decoders[plan.decoder]],
    ...[2 * format.levelTable.centre, records, layout.bytes, plan.shared?.bytes ?? 0],
    ...[layout.sharedOffset, layout.scaleOffset, layout.zeroPointOffset],
    ...[sharedRows, rowLayout(format, columns).sharedBytes, tables, patterns],
    ...salientParts,
  ];
  const header = arena.allocate(4 * fields.length);
  arena.uint32(header, fields.length).set(fields);
  arena.withScratch(() => fillRecords(arena, wasm, header, matrix, plan));
  return header;
}

/** Copies some rows after the others as they are stored, and from there into the records: so little is in the memory twice. */
function fillRecords(
  arena: Arena,
  wasm: DecoderExports,
  header: Pointer,
  matrix: QuantizedMatrix,
  { shared }: DecodingPlan,
): void {
  const { format, rows, columns } = matrix;
  const { packedBytes, sharedBytes } = rowLayout(format, columns);
  const scales = arena.copy(decodeScales(matrix));
  const zeroPoints = matrix.zeroPoints ? arena.copy(matrix.zeroPoints) : 0;
  const positions = arena.copy(Uint32Array.from(shared?.positions ?? []));
  const packed = arena.allocate(rowBlock * packedBytes);
  const sharedCodes = arena.allocate(rowBlock * sharedBytes + readAhead);
  for (let row = 0; row < rows; row += rowBlock) {
    const end = Math.min(row + rowBlock, rows);
    copyRows(arena, packed, matrix.packed, row * packedBytes, end * packedBytes);
    copyRows(arena, sharedCodes, matrix.shared, row * sharedBytes, end * sharedBytes);
    wasm.writeRecords(
      ...([header, row, end, packed, sharedCodes, scales, zeroPoints] as const),
      ...([format.groupSize, shared?.columns ?? packingUnit, positions] as const),
    );
  }
}

function copyRows(arena: Arena, target: Pointer, source: Uint8Array, start: number, end: number): void {
  arena.uint8(target, end - start).set(source.subarray(start, end));
}

/** Row offsets [rows + 1], columns [K] and values sigma * residual [K], rounded to float32 as SPEC 2 says. */
function copySalient(
  arena: Arena,
  salient: SalientWeights,
  rows: number,
  columns: number,
): [Pointer, Pointer, Pointer] {
  const offsets = new Uint32Array(rows + 1);
  for (let r = 0; r < rows; r++) offsets[r + 1] = offsets[r]! + (salient.counts[r] ?? 0);
  const count = offsets[rows]!;
  if (
    salient.counts.length !== rows ||
    salient.columns.length !== count ||
    salient.residuals.length !== count
  ) {
    throw new InvalidArgumentError(
      `the row counts of the salient weights name ${count} of them, not ${salient.columns.length}`,
    );
  }
  if (salient.columns.some((column) => column >= columns)) {
    throw new InvalidArgumentError(`a salient weight lies outside of the ${columns} columns`);
  }
  const values = new Float32Array(count);
  for (let r = 0; r < rows; r++) {
    for (let i = offsets[r]!; i < offsets[r + 1]!; i++)
      values[i] = salient.scales[r]! * salient.residuals[i]!;
  }
  return [
    copyBytes(arena, bytesOf(offsets)),
    copyBytes(arena, bytesOf(salient.columns)),
    copyBytes(arena, bytesOf(values)),
  ];
}

function bytesOf(array: ArrayBufferView): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

function copyBytes(arena: Arena, bytes: Uint8Array, padding = 0): Pointer {
  const pointer = arena.allocate(bytes.length + padding);
  arena.uint8(pointer, bytes.length).set(bytes);
  return pointer;
}
