import { packingUnit, type QuantizedMatrix } from '@lbs/format';
import { type ActivationPrecision, largestCode } from './activations.js';
import type { Arena, Pointer } from './arena.js';
import { type DecodingPlan, decoders } from './decoding-plan.js';
import type { RecordLayout } from './quantized-records.js';
import type { ThreadPool } from './thread-pool.js';
import type { DecoderExports, Int8ProductsExports } from './wasm-exports.js';

/** `Mask.bytes` and `vectorRecordBytes` of assembly/prepared-vector.ts. */
const vectorMaskBytes = 144;
const vectorRecordBytes = (bytesOfCode: number) => packingUnit * bytesOfCode + 48;
/** How many multiplications of a matrix product take as long as one element of these, as measured (0.04 ns each). */
const elementWork = { quantize: 25, transpose: 10, narrow: 5 } as const;
/** From this number of tokens on, the salient weights meet 16 tokens at a time. */
const leastTransposedTokens = 8;
/** Rows of a call are a multiple of it: a quad is four of them, and 16 outputs are a cache line that no other call writes. */
const rowBlock = 16;
/** Up to this level, products of 64 columns fit 16 bits: assembly/int8-panel.ts. */
const largestNarrowLevel = 32;
/** The largest operand of relaxed products. */
const largestByte = 127;

/** Where products are computed. */
export interface ProductKernels {
  readonly arena: Arena;
  readonly pool: ThreadPool;
  readonly wasm: DecoderExports;
  /** Absent without relaxed SIMD. */
  readonly int8: Int8ProductsExports | undefined;
}

/** output [tokens, rows] = input [tokens, columns] times a matrix transposed. */
export type Multiply = (input: Pointer, output: Pointer, tokens: number) => void;

/** What is known of a matrix whose header is in the memory. It does not hold on to the bytes of the matrix. */
export interface LoadedMatrix {
  readonly header: Pointer;
  readonly plan: DecodingPlan;
  readonly layout: RecordLayout;
  readonly matrix: Pick<QuantizedMatrix, 'format' | 'rows' | 'columns'>;
  readonly hasSalient: boolean;
}

export function productOf(
  kernels: ProductKernels,
  loaded: LoadedMatrix,
  activations: ActivationPrecision,
): Multiply {
  return activations === 'float32'
    ? exactProduct(kernels, loaded)
    : codeProduct(kernels, loaded, activations);
}

function exactProduct(
  { arena, pool }: ProductKernels,
  { header, layout, matrix: { rows, columns } }: LoadedMatrix,
): Multiply {
  return (input, output, tokens) =>
    arena.withScratch(() => {
      const work = { count: rows, step: rowBlock, work: columns * tokens };
      pool.split('multiplyExactly', work, (first, end) => {
        const scratch = arena.allocate(8 * packingUnit * layout.units + 4 * rowBlock * columns);
        return [header, input, output, tokens, first, end, scratch];
      });
    });
}

function codeProduct(
  { arena, pool, wasm, int8 }: ProductKernels,
  { header, plan, layout, matrix, hasSalient }: LoadedMatrix,
  activations: 'int8' | 'int16',
): Multiply {
  const { format, rows, columns } = matrix;
  const { privateBits, sharedBits, levelTable } = format;
  const { chunkColumns, units } = layout;
  const chunks = Math.ceil(columns / chunkColumns);
  const paddedColumns = packingUnit * units;
  // What the sum of the activations counts in doubled levels, for each unit of the zero-point where there are any.
  const correctionFactor = format.zeroPoint ? -2 : -2 * levelTable.centre;
  const largest = largestCode[activations];
  const largestLevel = Math.max(...levelTable.levels);
  const byteKernels = activations === 'int8' ? int8 : undefined;
  const isVector = plan.isVector && chunkColumns === packingUnit;
  // One token meets the private codes of evenly spaced levels.
  const isLinear = decoders[plan.decoder] <= decoders.linearPairs;
  const vectorBytes = isLinear ? 2 ** privateBits - 1 : largestLevel;
  const byteVector = vectorBytes <= largestByte && plan.decoder !== 'table' ? byteKernels : undefined;
  const bytePanels = largestLevel <= largestByte ? byteKernels : undefined;

  const quantize = (input: Pointer, tokens: number) => {
    const codes = arena.allocate(2 * tokens * paddedColumns);
    const scales = arena.allocate(4 * tokens * chunks);
    const work = { count: tokens, step: 1, work: elementWork.quantize * columns };
    pool.split('quantizeActivations', work, (first, end) => {
      const from = input + 4 * first * columns;
      const to = codes + 2 * first * paddedColumns;
      const scalesTo = scales + 4 * first * chunks;
      const scratch = arena.allocate(4 * chunkColumns);
      return [from, end - first, columns, paddedColumns, chunkColumns, largest, to, scalesTo, scratch];
    });
    return [codes, scales] as const;
  };
  const narrow = (codes: Pointer, tokens: number) => {
    const bytes = arena.allocate(tokens * paddedColumns);
    const sums = arena.allocate(4 * tokens * chunks);
    const work = { count: tokens, step: 1, work: elementWork.narrow * columns };
    pool.split('narrowActivations', work, (first, end) => {
      const from = codes + 2 * first * paddedColumns;
      const to = bytes + first * paddedColumns;
      return [from, end - first, paddedColumns, chunks, chunkColumns, to, sums + 4 * first * chunks];
    });
    return [bytes, sums] as const;
  };
  const transpose = (input: Pointer, tokens: number) => {
    const paddedTokens = 16 * Math.ceil(tokens / 16);
    const transposed = arena.allocate(4 * paddedTokens * columns);
    const work = { count: columns, step: 16, work: elementWork.transpose * tokens };
    pool.split('transposeTokens', work, (first, end) => {
      return [input, tokens, columns, paddedTokens, transposed, first, end];
    });
    return transposed;
  };
  const rowWork = (tokens: number) => ({ count: rows, step: rowBlock, work: columns * tokens });
  const multiplyOne = (input: Pointer, output: Pointer) => {
    const [codes, scales] = quantize(input, 1);
    const x = arena.allocate(vectorMaskBytes + vectorRecordBytes(byteVector ? 1 : 2) * units);
    const prepare = byteVector?.prepareVectorInt8 ?? wasm.prepareVector;
    prepare(codes, scales, units, correctionFactor, privateBits, sharedBits, x);
    pool.split(byteVector ? 'multiplyVectorInt8' : 'multiplyVector', rowWork(1), (first, end) => {
      return [header, input, x, output, first, end];
    });
  };
  const multiplyMany = (input: Pointer, output: Pointer, tokens: number) => {
    const [codes, scales] = quantize(input, tokens);
    const transposed = hasSalient && tokens >= leastTransposedTokens ? transpose(input, tokens) : 0;
    if (bytePanels) {
      const [bytes, sums] = narrow(codes, tokens);
      const isNarrow = Number(largestLevel <= largestNarrowLevel);
      pool.split('multiplyPanelsInt8', rowWork(tokens), (first, end) => {
        const scratch = arena.allocate(4 * paddedColumns + 32 * chunks + 80);
        return [
          ...([header, input, bytes, scales, sums, transposed, output, tokens, first, end] as const),
          ...([isNarrow, scratch] as const),
        ];
      });
      return;
    }
    pool.split('multiplyPanels', rowWork(tokens), (first, end) => {
      const scratch = arena.allocate(8 * paddedColumns + 16 * chunks + 64);
      return [header, input, codes, scales, transposed, output, tokens, first, end, scratch];
    });
  };
  return (input, output, tokens) =>
    arena.withScratch(() => {
      if (tokens === 1 && isVector) multiplyOne(input, output);
      else multiplyMany(input, output, tokens);
    });
}
