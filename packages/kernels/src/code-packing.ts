import { InvalidArgumentError } from '@lbs/format';
import type { Arena, Pointer } from './arena.js';
import { packingWasm } from './generated/packing-wasm.js';
import { partsOf } from './kernel-parts.js';
import type { Kernels } from './kernels.js';
import type { PackingExports } from './wasm-exports.js';

/** Rows of codes. */
export interface CodeRows {
  readonly rows: number;
  /** Codes of a row: its weights, or its sharing blocks. */
  readonly columns: number;
  /** Bits of a code: 1 to 8 of a private one, 1 to 4 of a shared one. */
  readonly bits: number;
}

/** Packs codes into bit planes and takes them out again, in the memory of kernels. */
export class CodePacking {
  readonly #arena: Arena;
  readonly #wasm: PackingExports;

  /** What it needs is compiled for the first one that is made. */
  constructor(kernels: Kernels) {
    const { arena, instances } = partsOf(kernels);
    this.#arena = arena;
    this.#wasm = instances.use('packing', packingWasm);
  }

  /**
   * Packs private codes, bytes [rows, columns], into bit planes [rows, 8 * bits * ceil(columns / 64)] (SPEC 4), as `packCodes` of
   * @lbs/format does with each row. Bits of a byte above the code are dropped.
   */
  packRows(codes: Pointer, packed: Pointer, { rows, columns, bits }: CodeRows): void {
    assertBits(bits, 8);
    this.#arena.withScratch(() => {
      this.#wasm.packRows(codes, rows, columns, bits, packed, this.#arena.allocate(64));
    });
  }

  /** Reverses `packRows`. */
  unpackRows(packed: Pointer, codes: Pointer, { rows, columns, bits }: CodeRows): void {
    assertBits(bits, 8);
    this.#arena.withScratch(() => {
      this.#wasm.unpackRows(packed, rows, columns, bits, codes, this.#arena.allocate(64));
    });
  }

  /** Packs shared codes, bytes [rows, columns], into [rows, ceil(columns * bits / 8)] (SPEC 5), as `packSharedCodes` of @lbs/format. */
  packSharedRows(codes: Pointer, packed: Pointer, { rows, columns, bits }: CodeRows): void {
    assertBits(bits, 4);
    this.#wasm.packSharedRows(codes, rows, columns, bits, packed);
  }

  /** Reverses `packSharedRows`. */
  unpackSharedRows(packed: Pointer, codes: Pointer, { rows, columns, bits }: CodeRows): void {
    assertBits(bits, 4);
    this.#wasm.unpackSharedRows(packed, rows, columns, bits, codes);
  }
}

function assertBits(bits: number, most: number): void {
  if (Number.isInteger(bits) && bits >= 1 && bits <= most) return;
  throw new InvalidArgumentError(`bits must be a whole number from 1 to ${most}, not ${bits}`);
}
