import type { Arena, Pointer } from './arena.js';
import { type MatrixProduct, productHeader } from './matrix-product.js';
import type { ThreadPool } from './thread-pool.js';
import type { LinearAlgebraExports } from './wasm-exports.js';

/** Rows that the product packs at a time: ranges are multiples of it. */
const tileRows = 20;

/** Columns of a matrix that are worth a product of their own, where a triangle makes their products of different depth. */
const columnBlock = 128;

/** Turns products into calls of the module, each a range of rows with its own scratch, and makes them on the pool's threads. */
export class ProductRunner {
  constructor(
    readonly arena: Arena,
    readonly wasm: LinearAlgebraExports,
    private readonly pool: ThreadPool,
  ) {}

  /** Computes products one after the other. Of an upper triangle, what is below the diagonal is undefined. */
  run(products: readonly MatrixProduct[], { isUpperTriangle = false } = {}): void {
    this.withScratch(() => {
      for (const product of products) {
        const header = this.#writeHeader(productHeader(product, isUpperTriangle));
        const work = { count: product.rows, step: tileRows, work: product.columns * product.depth };
        this.pool.split('updateProduct', work, (first, end) => {
          const scratch = this.arena.allocate(this.wasm.productScratchBytes());
          return [header, first, end, scratch];
        });
      }
    });
  }

  /** Runs `use`, then takes back everything it allocated. */
  withScratch<T>(use: () => T): T {
    return this.arena.withScratch(use);
  }

  #writeHeader(fields: readonly number[]): Pointer {
    const header = this.arena.allocate(4 * fields.length);
    this.arena.uint32(header, fields.length).set(fields);
    return header;
  }
}

/** Cuts the columns from `first` to `end` into blocks. */
export function columnBlocks<T>(first: number, end: number, map: (first: number, end: number) => T): T[] {
  const blocks: T[] = [];
  for (let column = first; column < end; column += columnBlock) {
    blocks.push(map(column, Math.min(column + columnBlock, end)));
  }
  return blocks;
}
