import type { Pointer } from './arena.js';

/** A weight matrix [rows, columns] that lives in the memory of one kernels instance. */
export interface Matrix {
  /** Output features. */
  readonly rows: number;
  /** Input features. */
  readonly columns: number;
  /** Bytes that it occupies in the memory. */
  readonly bytes: number;
}

/** What every kind of matrix can do; pointers are checked by the caller. */
export interface MatrixOperations {
  /** output [tokens, rows] = input [tokens, columns] times the matrix transposed. */
  multiply(input: Pointer, output: Pointer, tokens: number): void;
  /** output [columns] = row `row`. */
  copyRow(row: number, output: Pointer): void;
  /** Where the weights [rows, columns] are, if they are stored as float32. */
  readonly dense?: Pointer;
  /** Puts other weights [rows, columns] in place of the present ones; undefined where the matrix is not dense. */
  overwrite?(weights: Float32Array): void;
}
