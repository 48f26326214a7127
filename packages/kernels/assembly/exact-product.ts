import { multiplyDense } from './dense';
import { dequantizeRow } from './panel';
import { QuantizedHeader } from './quantized-header';

/** Rows that are decoded before they meet all tokens; those that multiplyDense takes at a time. */
const rowBlock: u32 = 16;

/**
 * Output [tokens, rows] = input [tokens, columns] times the matrix transposed, for the rows from `firstRow` up to `endRow`, with float32
 * activations and the weights that `dequantizeRow` gives. `scratch` holds 8 * paddedColumns + 64 * columns bytes.
 */
export function multiplyExactly(
  header: usize,
  input: usize,
  output: usize,
  tokens: u32,
  firstRow: u32,
  endRow: u32,
  scratch: usize,
): void {
  const m = changetype<QuantizedHeader>(header);
  const stride = 4 * m.columns;
  const weights = scratch + 512 * m.units;
  for (let block = firstRow; block < endRow; block += rowBlock) {
    const end = min(endRow, block + rowBlock);
    for (let row = block; row < end; row++) dequantizeRow(header, row, weights + (row - block) * stride, scratch);
    // It looks for row 0 of the whole matrix, of which only this block is there.
    multiplyDense(weights - block * stride, m.rows, m.columns, input, output, tokens, block, end);
  }
}
