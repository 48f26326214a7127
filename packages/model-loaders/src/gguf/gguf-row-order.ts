import { blockMatrices, type DecoderLayout, linearSize } from '../config/decoder-layout.js';
import type { ModelConfig } from '../config/model-config.js';

/** For each row of Hugging Face, the row of the GGUF file that it is. */
export type RowOrder = Uint32Array;

/** The row order of the modules of a block whose rows a GGUF file has in another order. */
export function rowOrders(
  config: ModelConfig,
  layout: DecoderLayout,
  hasPairedRows: boolean,
): ReadonlyMap<string, RowOrder> {
  const orders = new Map<string, RowOrder>();
  for (const { module, linears, rows } of blockMatrices(config, layout)) {
    if (linears.length > 1) orders.set(module, splitOrder(config, layout, linears, rows));
    else if (hasPairedRows && (linears[0] === 'query' || linears[0] === 'key')) {
      orders.set(module, halvesOfPairs(rows, config.headSize));
    }
  }
  for (const [module, order] of orders) if (order.every((from, to) => from === to)) orders.delete(module);
  return orders;
}

/** The two rows of a pair are side by side in the file, half a head apart in Hugging Face. */
function halvesOfPairs(rows: number, headSize: number): RowOrder {
  const half = headSize / 2;
  return Uint32Array.from({ length: rows }, (_, row) => {
    const within = row % headSize;
    return row - within + 2 * (within % half) + Math.floor(within / half);
  });
}

/** A fused matrix has the rows of one layer behind those of another in the file; in Hugging Face they may alternate. */
function splitOrder(
  config: ModelConfig,
  layout: DecoderLayout,
  linears: readonly (keyof DecoderLayout['linears'])[],
  rows: number,
): RowOrder {
  const order = new Uint32Array(rows);
  let stored = 0;
  for (const linear of linears) {
    const { first, length, step } = layout.linears[linear]!.rows!;
    for (let i = 0; i < linearSize(config, linear).rows; i++) {
      order[first + Math.floor(i / length) * step + (i % length)] = stored++;
    }
  }
  return order;
}

/** Whole rows move, whatever their type, so that this works on quantized bytes. */
export function reorderRows(
  bytes: Uint8Array<ArrayBuffer>,
  rows: number,
  order: RowOrder,
): Uint8Array<ArrayBuffer> {
  const target = new Uint8Array(bytes.length);
  const rowBytes = bytes.length / rows;
  for (const [to, from] of order.entries()) {
    target.set(bytes.subarray(from * rowBytes, (from + 1) * rowBytes), to * rowBytes);
  }
  return target;
}
