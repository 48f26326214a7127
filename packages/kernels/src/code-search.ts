import { InvalidArgumentError, type NumberFormat, rowLayout } from '@lbs/format';
import type { Arena, Pointer } from './arena.js';
import type { GroupParameters, SalientSearch } from './code-parameters.js';
import { codeSearchWasm } from './generated/code-search-wasm.js';
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

/** A matrix whose codes are to be chosen. */
export interface CodeSearchOptions {
  readonly format: NumberFormat;
  /** [rows, columns], finite. */
  readonly weights: Float32Array;
  readonly rows: number;
  readonly columns: number;
  /** [columns] how much the squared errors of a column count, at least 0; or [rows, columns] for each weight. */
  readonly importance: Float32Array;
}

/** Feedback of rounding errors to columns that are not rounded yet: GPTQ (arXiv 2210.17323, algorithm 1). */
export interface ErrorFeedback {
  /**
   * [columns, columns] the upper triangular Cholesky factor U of the inverse Hessian in the memory of the kernels, its rows and columns in the
   * order of `order`.
   */
  readonly upper: Pointer;
  /**
   * [columns] the columns in the order in which they are rounded. Those of a sharing block follow each other as they are in the row,
   * and a block that is short comes last.
   */
  readonly order: Uint32Array;
}

/** What a search has chosen. */
export interface ChosenCodes {
  /** [rows, columns] private codes. */
  readonly codes: Uint8Array;
  /** [rows, blocks] shared codes; empty where no bits are shared. */
  readonly shared: Uint8Array;
  /** Residual codes in the order of the salient indices; empty where there are none. */
  readonly residuals: Int8Array;
  /** Sum of (w - q)^2 / U_jj^2 with feedback, of importance * (w - q)^2 without. */
  readonly loss: number;
}

/** Factors [columns, 16] of strips. */
interface ColumnFactors {
  readonly pointer: Pointer;
  /** From strip to strip; 0 where all have the same. */
  readonly stride: number;
}

/**
 * Chooses the codes of one matrix at scales that the caller tries. Rows do not depend on each other, and the work is cut into strips of 16 rows, so
 * that results are the same on any number of threads. `release` gives the memory back.
 */
export class CodeSearch {
  readonly #arena: Arena;
  readonly #pool: ThreadPool;
  readonly #options: CodeSearchOptions;
  readonly #mark: Pointer;
  readonly #strips: number;
  readonly #groups: number;
  readonly #block: number;
  readonly #natural: Uint32Array;
  /** A power of two near the largest weight: the search works on weights in this unit, so that squared errors stay within float32. */
  readonly #unit: number;
  /** [strips, columns, 16] float32. */
  readonly #weights: Pointer;
  /** [strips, groups, 3, 16] scales, their inverses and zero-points. */
  readonly #parameters: Pointer;
  readonly #importance: ColumnFactors;

  /** Copies the weights into the memory of the kernels, on whose threads it computes. Throws InvalidArgumentError where sizes do not fit. */
  constructor(kernels: Kernels, options: CodeSearchOptions) {
    const { format, weights, rows, columns, importance } = options;
    const isForEach = importance.length === rows * columns;
    if (weights.length !== rows * columns || !(isForEach || importance.length === columns)) {
      throw new InvalidArgumentError(
        `a ${rows} x ${columns} matrix has ${rows * columns} weights and ${columns} or as many importances, not ${weights.length} and ${importance.length}`,
      );
    }
    const { arena, instances, pool } = partsOf(kernels);
    instances.use('codeSearch', codeSearchWasm);
    this.#arena = arena;
    this.#pool = pool;
    this.#options = options;
    this.#mark = arena.mark();
    this.#strips = stripCount(rows);
    this.#groups = rowLayout(format, columns).groups;
    this.#block = searchBlock(format);
    this.#natural = naturalOrder(columns);
    this.#unit = unitOf(weights);
    this.#weights = arena.allocate(this.#stripBytes * this.#strips);
    this.#parameters = arena.allocate(this.#parameterBytes * this.#strips);
    this.#writeWeights(this.#weights, this.#natural);
    this.#importance = this.#writeImportance((value) => value);
  }

  /** Gives the memory back, together with what was allocated since the search was made. */
  release(): void {
    this.#arena.release(this.#mark);
  }

  /**
   * [rows, groups] the importance-weighted squared errors of rounding without feedback at these scales. Every sharing block takes the row
   * of the level table that is best for it.
   */
  errors(parameters: GroupParameters): Float64Array {
    const { rows } = this.#options;
    this.#writeParameters(parameters);
    return this.#arena.withScratch(() => {
      const header = this.#writeHeader(this.#natural, undefined);
      const errorBytes = 4 * this.#groups * stripRows;
      const errors = this.#arena.allocate(errorBytes * this.#strips);
      this.#runOnStrips('evaluateScales', (strip) => [
        header,
        this.#weights + strip * this.#stripBytes,
        this.#parameters + strip * this.#parameterBytes,
        this.#importance.pointer + strip * this.#importance.stride,
        errors + strip * errorBytes,
      ]);
      const found = this.#arena.float32(errors, (errorBytes / 4) * this.#strips);
      const squaredUnit = this.#unit ** 2;
      const result = new Float64Array(rows * this.#groups);
      for (let i = 0; i < result.length; i++) {
        const group = i % this.#groups;
        const row = (i - group) / this.#groups;
        const lane = row % stripRows;
        result[i] = found[(row - lane) * this.#groups + group * stripRows + lane]! * squaredUnit;
      }
      return result;
    });
  }

  /**
   * The codes at these scales: those with the least importance-weighted squared error, or with `feedback` those of GPTQ, where every sharing
   * block tries each row of the level table with the feedback through its columns and keeps the one with the least loss.
   */
  choose(
    parameters: GroupParameters,
    { salient, feedback }: { salient?: SalientSearch | undefined; feedback?: ErrorFeedback | undefined } = {},
  ): ChosenCodes {
    const { format, rows, columns } = this.#options;
    const order = feedback?.order ?? this.#natural;
    this.#writeParameters(parameters);
    return this.#arena.withScratch(() => {
      const blocks = Math.ceil(columns / this.#block);
      const weights = this.#copyWeights(order);
      const header = this.#writeHeader(order, feedback?.upper);
      const errorWeights = feedback
        ? this.#writeInverseDiagonal(feedback.upper)
        : this.#writeImportance(Math.sqrt);
      const codeBytes = columns * stripRows;
      const codes = this.#arena.allocate(codeBytes * this.#strips);
      const shared = this.#arena.allocate(blocks * stripRows * this.#strips);
      const residuals = salient ? this.#arena.allocate(codeBytes * this.#strips) : 0;
      const places = salient && salientPlaces(salient, order);
      const mask = places ? this.#writeMask(places) : 0;
      const sigmas = salient ? this.#writeSigmas(salient) : 0;
      const losses = this.#arena.allocate(4 * stripRows * this.#strips);
      this.#arena.float32(losses, stripRows * this.#strips).fill(0);
      const scratchBytes = 4 * 4 * this.#block * stripRows;
      const scratch = this.#arena.allocate(scratchBytes * this.#strips);
      this.#runOnStrips('searchCodes', (strip) => [
        header,
        weights + strip * this.#stripBytes,
        this.#parameters + strip * this.#parameterBytes,
        errorWeights.pointer + strip * errorWeights.stride,
        mask && mask + strip * codeBytes,
        sigmas + strip * 2 * 4 * stripRows,
        codes + strip * codeBytes,
        shared + strip * blocks * stripRows,
        residuals && residuals + strip * codeBytes,
        losses + strip * 4 * stripRows,
        scratch + strip * scratchBytes,
      ]);
      const bytesOf = (pointer: Pointer, count: number) =>
        this.#arena.uint8(pointer, count * stripRows * this.#strips);
      const read = (pointer: Pointer, readOrder: Uint32Array) =>
        readStrips(new Uint8Array(rows * readOrder.length), bytesOf(pointer, readOrder.length), {
          rows,
          order: readOrder,
        });
      const residualCodes = bytesOf(residuals, salient ? columns : 0);
      return {
        codes: read(codes, order),
        shared: format.sharedBits > 0 ? read(shared, this.#blockOrder(order)) : new Uint8Array(),
        residuals: Int8Array.from(places ?? [], (place) => (residualCodes[place]! << 24) >> 24),
        loss: this.#arena.float32(losses, rows).reduce((sum, loss) => sum + loss, 0) * this.#unit ** 2,
      };
    });
  }

  get #stripBytes(): number {
    return 4 * this.#options.columns * stripRows;
  }

  get #parameterBytes(): number {
    return 4 * this.#groups * 3 * stripRows;
  }

  #runOnStrips<Name extends 'evaluateScales' | 'searchCodes'>(
    name: Name,
    call: (strip: number) => KernelCall<Name>,
  ): void {
    this.#pool.run(
      name,
      Array.from({ length: this.#strips }, (_, strip) => call(strip)),
    );
  }

  /** [blocks] the sharing blocks in the order of their columns. */
  #blockOrder(order: Uint32Array): Uint32Array {
    const firsts = order.filter((_, k) => k % this.#block === 0);
    return firsts.map((column) => Math.floor(column / this.#block));
  }

  #writeWeights(target: Pointer, order: Uint32Array): void {
    const { weights, rows, columns } = this.#options;
    const strips = this.#arena.float32(target, this.#strips * columns * stripRows);
    writeStrips(strips, weights, { rows, order, factor: 1 / this.#unit });
  }

  /** The weights in an order, for a search to change. */
  #copyWeights(order: Uint32Array): Pointer {
    const bytes = this.#stripBytes * this.#strips;
    const copy = this.#arena.allocate(bytes);
    if (order === this.#natural) this.#arena.uint8(copy, bytes).set(this.#arena.uint8(this.#weights, bytes));
    else this.#writeWeights(copy, order);
    return copy;
  }

  #writeParameters(parameters: GroupParameters): void {
    const target = this.#arena.float32(this.#parameters, (this.#parameterBytes / 4) * this.#strips);
    writeGroupParameters(target, parameters, {
      rows: this.#options.rows,
      groups: this.#groups,
      unit: this.#unit,
    });
  }

  #writeMask(places: Uint32Array): Pointer {
    const bytes = this.#options.columns * stripRows * this.#strips;
    const mask = this.#arena.allocate(bytes);
    writeSalientMask(this.#arena.uint8(mask, bytes), places);
    return mask;
  }

  /** [strips, 2, 16] sigmas and their inverses. */
  #writeSigmas(salient: SalientSearch): Pointer {
    const pointer = this.#arena.allocate(2 * 4 * stripRows * this.#strips);
    writeSigmas(this.#arena.float32(pointer, 2 * stripRows * this.#strips), salient, this.#unit);
    return pointer;
  }

  /** A function of the importances, in the order of the row. */
  #writeImportance(map: (importance: number) => number): ColumnFactors {
    const { rows, columns, importance } = this.#options;
    const values = importance.map(map);
    if (importance.length === columns) return this.#writeColumnFactors(values);
    const pointer = this.#arena.allocate(this.#stripBytes * this.#strips);
    const target = this.#arena.float32(pointer, this.#strips * columns * stripRows);
    writeStrips(target, values, { rows, order: this.#natural });
    return { pointer, stride: this.#stripBytes };
  }

  /** 1 / U_jj. */
  #writeInverseDiagonal(upper: Pointer): ColumnFactors {
    const { columns } = this.#options;
    const factor = this.#arena.float32(upper, columns * columns);
    return this.#writeColumnFactors(
      Float32Array.from({ length: columns }, (_, k) => 1 / factor[k * columns + k]!),
    );
  }

  /** The same for all rows. */
  #writeColumnFactors(values: Float32Array): ColumnFactors {
    const pointer = this.#arena.allocate(values.byteLength * stripRows);
    const inLanes = this.#arena.float32(pointer, values.length * stripRows);
    for (let i = 0; i < values.length; i++) inLanes.fill(values[i]!, i * stripRows, (i + 1) * stripRows);
    return { pointer, stride: 0 };
  }

  /** Writes the `SearchHeader` of assembly/code-search.ts. */
  #writeHeader(order: Uint32Array, upper: Pointer | undefined): Pointer {
    const { format, columns } = this.#options;
    const groupOfColumn = order.map((column) => Math.floor(column / format.groupSize));
    return writeLevelHeader(this.#arena, format, [
      ...[columns, format.groupSize, this.#groups, this.#block],
      this.#arena.copy(groupOfColumn),
      upper ?? 0,
    ]);
  }
}
