import { InvalidArgumentError, type NumberFormat, rowLayout } from '@lbs/format';
import type { Arena, Pointer } from './arena.js';
import type { GroupParameters, SalientSearch } from './code-parameters.js';
import { codeRefinementWasm } from './generated/code-refinement-wasm.js';
import { partsOf } from './kernel-parts.js';
import type { Kernels } from './kernels.js';
import { searchBlock, writeLevelHeader } from './level-rows.js';
import {
  salientPlaces,
  unitOf,
  writeGroupParameters,
  writeSalientMask,
  writeSigmas,
} from './strip-arrays.js';
import { naturalOrder, readStrips, stripCount, stripRows, writeStrips } from './strips.js';
import type { KernelCall, ThreadPool } from './thread-pool.js';

/** Codes, scales and residuals of a matrix. */
export interface CodeAssignment extends GroupParameters {
  /** [rows, columns] private codes. */
  readonly codes: Uint8Array;
  /** [rows, blocks] shared codes; empty where no bits are shared. */
  readonly shared: Uint8Array;
  readonly salient?: AssignedResiduals | undefined;
}

/** Salient weights with their residuals. */
export interface AssignedResiduals extends SalientSearch {
  /** Residual codes in the order of the indices. */
  readonly residuals: Int8Array;
}

/** A matrix whose codes are to be improved. */
export interface CodeRefinementOptions {
  readonly format: NumberFormat;
  /** [rows, columns] W, finite. */
  readonly weights: Float32Array;
  readonly rows: number;
  readonly columns: number;
  /** [columns, columns] H, symmetric and positive definite. */
  readonly hessian: Float32Array;
  /** Where the descent begins. */
  readonly start: CodeAssignment;
}

/** Scales that each group chooses from. */
export interface ScaleCandidates {
  /** [rows, groups, count] finite; the first of each group is its present scale. */
  readonly scales: Float32Array;
  readonly count: number;
}

/** What a sweep has done. */
export interface RefinementSweep {
  /** [rows, groups] which of its candidates each group has now. */
  readonly chosen: Uint8Array;
  /** [rows] by how much the loss of each row has fallen, as summed up in float32. */
  readonly gains: Float64Array;
  /** [rows] about the losses before the first sweep: what it had changed until it came to a group is not in the group's part. */
  readonly losses: Float64Array;
}

/** The fields of `RefinedStrip` in assembly/refine-codes.ts: bytes of each array of a strip. */
interface StripArray {
  readonly pointer: Pointer;
  readonly bytes: number;
}

/**
 * Improves chosen codes, scales and residuals by coordinate descent on tr((W - Q) H (W - Q)^T), the squared error of the layer's outputs: cyclic
 * coordinate descent on codes as in COMQ (arXiv 2403.07134), where a sharing block is one coordinate, and on the scales of groups, the
 * second step of decoupleQ (arXiv 2404.12759). As with `CodeSearch`, results are the same on any number of threads. `release` gives the
 * memory back.
 */
export class CodeRefinement {
  readonly #arena: Arena;
  readonly #pool: ThreadPool;
  readonly #options: CodeRefinementOptions;
  readonly #mark: Pointer;
  readonly #strips: number;
  readonly #groups: number;
  /** Powers of two: the descent works on weights and second moments in these units, so that losses stay within float32. */
  readonly #weightUnit: number;
  readonly #hessianUnit: number;
  readonly #hessian: Pointer;
  readonly #inverseDiagonal: Pointer;
  readonly #arrays: Record<(typeof stripFields)[number], StripArray>;
  #sweeps = 0;

  /** Copies the matrix into the memory of the kernels, on whose threads it computes. Throws InvalidArgumentError where sizes do not fit. */
  constructor(kernels: Kernels, options: CodeRefinementOptions) {
    const { format, weights, rows, columns, hessian } = options;
    if (weights.length !== rows * columns || hessian.length !== columns * columns) {
      throw new InvalidArgumentError(
        `a ${rows} x ${columns} matrix has ${rows * columns} weights and ${columns ** 2} second moments, not ${weights.length} and ${hessian.length}`,
      );
    }
    const { arena, instances, pool } = partsOf(kernels);
    instances.use('codeRefinement', codeRefinementWasm);
    this.#arena = arena;
    this.#pool = pool;
    this.#options = options;
    this.#mark = arena.mark();
    this.#strips = stripCount(rows);
    this.#groups = rowLayout(format, columns).groups;
    const diagonal = Float32Array.from({ length: columns }, (_, i) => hessian[i * (columns + 1)]!);
    this.#weightUnit = unitOf(weights);
    this.#hessianUnit = unitOf(diagonal);
    this.#hessian = arena.copy(hessian);
    const scaled = arena.float32(this.#hessian, hessian.length);
    for (let i = 0; i < scaled.length; i++) scaled[i]! /= this.#hessianUnit;
    this.#inverseDiagonal = arena.copy(diagonal.map((value) => this.#hessianUnit / value));
    this.#arrays = this.#allocateStrips();
    this.#writeStart();
  }

  /** Gives the memory back, together with what was allocated since the refinement was made. */
  release(): void {
    this.#arena.release(this.#mark);
  }

  /**
   * Visits every group of every row once and every sharing block in it: chooses the group's scale among the candidates, then the codes with
   * their residuals, each for the least loss given everything else. Sweeps alternate between ascending and descending columns.
   */
  sweep(candidates: ScaleCandidates): RefinementSweep {
    const { rows } = this.#options;
    const arena = this.#arena;
    return arena.withScratch(() => {
      const header = this.#writeHeader(candidates.count);
      const bytes = 4 * this.#groups * candidates.count * stripRows;
      const pointer = arena.allocate(bytes * this.#strips);
      this.#writeCandidates(arena.float32(pointer, (bytes / 4) * this.#strips), candidates);
      const arrays = { ...this.#arrays, candidates: { pointer, bytes } };
      const calls = Array.from({ length: this.#strips }, (_, strip): KernelCall<'refineStrip'> => {
        const fields = stripFields.map((field) => arrays[field].pointer + strip * arrays[field].bytes);
        return [header, arena.copy(Uint32Array.from(fields)), this.#sweeps];
      });
      this.#pool.run('refineStrip', calls);
      this.#sweeps++;
      const chosen = new Uint8Array(rows * this.#groups);
      const strips = arena.uint8(this.#arrays.chosen.pointer, this.#arrays.chosen.bytes * this.#strips);
      readStrips(chosen, strips, { rows, order: naturalOrder(this.#groups) });
      const perRow = (array: StripArray) =>
        Float64Array.from(arena.float32(array.pointer, rows), (loss) => loss * this.#lossUnit);
      return { chosen, gains: perRow(this.#arrays.gains), losses: perRow(this.#arrays.losses) };
    });
  }

  /** The codes and residuals as they are now. */
  read(): { readonly codes: Uint8Array; readonly shared: Uint8Array; readonly residuals: Int8Array } {
    const { format, rows, columns, start } = this.#options;
    const read = ({ pointer, bytes }: StripArray, count: number) =>
      readStrips(new Uint8Array(rows * count), this.#arena.uint8(pointer, bytes * this.#strips), {
        rows,
        order: naturalOrder(count),
      });
    const { blocks } = rowLayout(format, columns);
    const residuals = start.salient && read(this.#arrays.residuals, columns);
    return {
      codes: read(this.#arrays.codes, columns),
      shared: blocks > 0 ? read(this.#arrays.shared, blocks) : new Uint8Array(),
      residuals: Int8Array.from(start.salient?.indices ?? [], (index) => (residuals![index]! << 24) >> 24),
    };
  }

  get #lossUnit(): number {
    return this.#weightUnit ** 2 * this.#hessianUnit;
  }

  #allocateStrips(): Record<(typeof stripFields)[number], StripArray> {
    const { format, columns, start } = this.#options;
    const block = searchBlock(format);
    const bytesOf: Record<(typeof stripFields)[number], number> = {
      weights: 4 * columns,
      gradient: 4 * columns,
      values: 4 * columns,
      levels: 4 * columns,
      changes: 4 * columns,
      parameters: 4 * 3 * this.#groups,
      candidates: 0,
      chosen: this.#groups,
      codes: columns,
      shared: Math.ceil(columns / block),
      salient: start.salient ? columns : 0,
      residuals: start.salient ? columns : 0,
      sigmas: 4 * 2,
      gains: 4,
      losses: 4,
      scratch: 4 * (2 * Math.min(format.groupSize, columns) + Math.max(6 * block + 1, 256)),
    };
    const allocate = (bytes: number): StripArray => ({
      pointer: bytes > 0 ? this.#arena.allocate(bytes * stripRows * this.#strips) : 0,
      bytes: bytes * stripRows,
    });
    return Object.fromEntries(stripFields.map((field) => [field, allocate(bytesOf[field])])) as Record<
      (typeof stripFields)[number],
      StripArray
    >;
  }

  #writeStart(): void {
    const { weights, rows, columns, start } = this.#options;
    const { codes, shared, salient } = start;
    const arrays = this.#arrays;
    const order = naturalOrder(columns);
    const bytes = ({ pointer, bytes: length }: StripArray) =>
      this.#arena.uint8(pointer, length * this.#strips);
    const floats = ({ pointer, bytes: length }: StripArray) =>
      this.#arena.float32(pointer, (length / 4) * this.#strips);
    const unit = this.#weightUnit;
    writeStrips(floats(arrays.weights), weights, { rows, order, factor: 1 / unit });
    writeGroupParameters(floats(arrays.parameters), start, { rows, groups: this.#groups, unit });
    writeStrips(bytes(arrays.codes), codes, { rows, order });
    bytes(arrays.shared).fill(0);
    if (shared.length > 0) {
      writeStrips(bytes(arrays.shared), shared, { rows, order: naturalOrder(shared.length / rows) });
    }
    if (salient) {
      writeSalientMask(bytes(arrays.salient), salientPlaces(salient, order));
      const residuals = new Uint8Array(weights.length);
      for (const [i, index] of salient.indices.entries()) residuals[index] = salient.residuals[i]!;
      writeStrips(bytes(arrays.residuals), residuals, { rows, order });
      writeSigmas(floats(arrays.sigmas), salient, unit);
    }
  }

  /** [strips, groups, count, 16] in units. */
  #writeCandidates(target: Float32Array, { scales, count }: ScaleCandidates): void {
    const { rows } = this.#options;
    const width = this.#groups * count;
    writeStrips(target, scales, { rows, order: naturalOrder(width), factor: 1 / this.#weightUnit });
  }

  /** Writes the `RefinementHeader` of assembly/refine-codes.ts. */
  #writeHeader(candidates: number): Pointer {
    const { format, columns } = this.#options;
    const { levels, centre } = format.levelTable;
    const levelOfCode = this.#arena.copy(Float32Array.from(levels, (level) => level - centre));
    return writeLevelHeader(this.#arena, format, [
      ...[columns, format.groupSize, this.#groups, searchBlock(format)],
      ...[this.#hessian, this.#inverseDiagonal, levelOfCode, format.sharedBits, candidates],
    ]);
  }
}

/** Arrays of a strip in the order of the fields of `RefinedStrip`. */
const stripFields = [
  'weights',
  'gradient',
  'values',
  'levels',
  'changes',
  'parameters',
  'candidates',
  'chosen',
  'codes',
  'shared',
  'salient',
  'residuals',
  'sigmas',
  'gains',
  'losses',
  'scratch',
] as const;
