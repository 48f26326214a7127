import {
  assertQuantizedMatrix,
  InvalidArgumentError,
  packingUnit,
  type QuantizedMatrix,
  rowLayout,
  type SalientWeights,
} from '@lbs/format';
import type { Arena, Pointer } from './arena.js';
import { type DecodingPlan, decoders, planDecoding } from './decoding-plan.js';
import type { Matrix, MatrixOperations } from './matrix.js';
import { type RecordLayout, recordLayout, writeRecords } from './quantized-records.js';
import type { ThreadPool } from './thread-pool.js';
import type { DecoderExports } from './wasm-exports.js';

/** Parts of a record are read a vector at a time, up to this many bytes behind the last one. */
const readAhead = 16;
/** `Mask.bytes` and `vectorRecordBytes` of assembly/prepared-vector.ts, for int16 activations. */
const vectorMaskBytes = 144;
const vectorRecordBytes = 2 * packingUnit + 48;
/** How many multiplications of a matrix product take as long as one element of these, as measured (0.04 ns each). */
const elementWork = { quantize: 25, transpose: 10 } as const;
/** From this number of tokens on, the salient weights meet 16 tokens at a time. */
const leastTransposedTokens = 8;
/** Rows of a call are a multiple of it: a panel is four of them, and 16 outputs are a cache line that no other call writes. */
const rowBlock = 16;

/**
 * Copies a quantized matrix into the memory: codes as they are stored, scales as float32, salient weights as compressed rows.
 * Throws InvalidArgumentError where a part has the wrong size.
 */
export function loadQuantizedMatrix(
  arena: Arena,
  wasm: DecoderExports,
  pool: ThreadPool,
  matrix: QuantizedMatrix,
): [Matrix, MatrixOperations] {
  assertQuantizedMatrix(matrix);
  const { format, rows, columns } = matrix;
  const plan = planDecoding(format);
  const layout = recordLayout(matrix, plan);
  const start = arena.mark();
  const header = writeQuantizedMatrix(arena, matrix, plan, layout);
  const bytes = arena.mark() - start;
  const { chunkColumns, units } = layout;
  const chunks = Math.ceil(columns / chunkColumns);
  const paddedColumns = packingUnit * units;
  const isVector = plan.isVector && chunkColumns === packingUnit;
  // What the sum of the activations counts in doubled levels, for each unit of the zero-point where there are any.
  const correctionFactor = format.zeroPoint ? -2 : -2 * format.levelTable.centre;
  const { privateBits, sharedBits } = format;
  const panelBytes = 8 * paddedColumns;
  const scratchBytes = panelBytes + 16 * chunks + 64;
  // The operations must not hold on to `matrix`: its bytes are in the memory now.
  const hasSalient = matrix.salient !== undefined;

  const quantizeActivations = (input: Pointer, tokens: number) => {
    const codes = arena.allocate(2 * tokens * paddedColumns);
    const scales = arena.allocate(4 * tokens * chunks);
    pool.split(
      'quantizeActivations',
      { count: tokens, step: 1, work: elementWork.quantize * columns },
      (first, end) => {
        const from = input + 4 * first * columns;
        const to = codes + 2 * first * paddedColumns;
        const scalesTo = scales + 4 * first * chunks;
        const scratch = arena.allocate(4 * chunkColumns);
        return [from, end - first, columns, paddedColumns, chunkColumns, to, scalesTo, scratch];
      },
    );
    return [codes, scales] as const;
  };
  const transposeTokens = (input: Pointer, tokens: number) => {
    const paddedTokens = 16 * Math.ceil(tokens / 16);
    const transposed = arena.allocate(4 * paddedTokens * columns);
    pool.split(
      'transposeTokens',
      { count: columns, step: 16, work: elementWork.transpose * tokens },
      (first, end) => {
        return [input, tokens, columns, paddedTokens, transposed, first, end];
      },
    );
    return transposed;
  };
  const multiply = (input: Pointer, output: Pointer, tokens: number) =>
    arena.withScratch(() => {
      const [codes, scales] = quantizeActivations(input, tokens);
      const work = { count: rows, step: rowBlock, work: columns * tokens };
      if (tokens === 1 && isVector) {
        const x = arena.allocate(vectorMaskBytes + vectorRecordBytes * units);
        wasm.prepareVector(codes, scales, units, correctionFactor, privateBits, sharedBits, x);
        pool.split('multiplyVector', work, (first, end) => [header, input, x, output, first, end]);
        return;
      }
      const transposed = hasSalient && tokens >= leastTransposedTokens ? transposeTokens(input, tokens) : 0;
      pool.split('multiplyPanels', work, (first, end) => {
        const scratch = arena.allocate(scratchBytes);
        return [header, input, codes, scales, transposed, output, tokens, first, end, scratch];
      });
    });
  const copyRow = (row: number, output: Pointer) =>
    arena.withScratch(() => wasm.dequantizeRow(header, row, output, arena.allocate(panelBytes)));
  return [
    { rows, columns, bytes },
    { multiply, copyRow },
  ];
}

/** Writes the parts and the `QuantizedHeader` of assembly/quantized-header.ts; returns the header's address. */
function writeQuantizedMatrix(
  arena: Arena,
  matrix: QuantizedMatrix,
  plan: DecodingPlan,
  layout: RecordLayout,
): Pointer {
  const { format, rows, columns, salient } = matrix;
  const recordBytes = layout.quads * layout.units * layout.bytes;
  const records = arena.allocate(recordBytes + readAhead);
  writeRecords(arena.uint8(records, recordBytes).fill(0), matrix, plan, layout);
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
  return header;
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
