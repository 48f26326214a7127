import { ProductHeader, Update } from './product-header';
import { packColumns, packRows, stripColumns, stripRows } from './strips';
import { updatePart, updateTile } from './tile';

/** Products of so many steps of the depth are summed before they meet the output. */
const depthBlock: u32 = 256;
/** Rows of the left operand that are packed at once: they stay in the second-level cache, a strip of the right operand in the first. */
const rowBlock: u32 = 32 * stripRows;
const leftStripBytes: u32 = 4 * depthBlock * stripRows;
const rightStripBytes: u32 = 4 * depthBlock * stripColumns;
const tileBytes: u32 = 4 * stripRows * stripColumns;

/** Bytes of the scratch of a call. */
const scratchBytes: u32 = rightStripBytes + tileBytes + (rowBlock / stripRows) * leftStripBytes + 16;

/**
 * Computes the rows from `firstRow` up to `endRow`. Every element is summed in the same order, whatever the range. The output may be
 * the left operand where the depth is at most `depthBlock` and the columns are as many: a block of rows is packed before it is
 * written.
 */
export function updateProduct(header: usize, firstRow: u32, endRow: u32, scratch: usize): void {
  for (let row = firstRow; row < endRow; row += rowBlock) {
    updateRows(changetype<ProductHeader>(header), row, min(endRow, row + rowBlock), scratch);
  }
}

function updateRows(p: ProductHeader, firstRow: u32, endRow: u32, scratch: usize): void {
  const sums = scratch + rightStripBytes;
  const leftStrips = sums + tileBytes;
  const firstColumn: u32 = p.isUpperTriangle ? firstRow : 0;
  const columns = p.columns;
  const outputStride = 4 * p.outputStride;
  let update = p.update;
  let start: u32 = 0;
  do {
    const steps = min(depthBlock, p.depth - start);
    packLeft(p, firstRow, endRow, start, steps, leftStrips);
    for (let column = firstColumn; column < columns; column += stripColumns) {
      packRight(p, column, start, steps, scratch);
      const width = min(stripColumns, columns - column);
      const rowsEnd = p.isUpperTriangle ? min(endRow, column + stripColumns) : endRow;
      let strip = leftStrips;
      for (let row = firstRow; row < rowsEnd; row += stripRows, strip += leftStripBytes) {
        const target = p.output + row * outputStride + 4 * column;
        const height = min(stripRows, endRow - row);
        if (height == stripRows && width == stripColumns) {
          updateTile(strip, scratch, steps, target, outputStride, update);
        } else {
          updateTile(strip, scratch, steps, sums, 4 * stripColumns, Update.set);
          updatePart(sums, target, outputStride, height, width, update);
        }
      }
    }
    if (update == Update.set) update = Update.add;
    start += steps;
  } while (start < p.depth);
}

function packLeft(p: ProductHeader, firstRow: u32, endRow: u32, start: u32, steps: u32, strip: usize): void {
  const weights = p.weights ? p.weights + 4 * start : 0;
  for (let row = firstRow; row < endRow; row += stripRows, strip += leftStripBytes) {
    const source = p.left + 4 * (row * p.leftRowStride + start * p.leftDepthStride);
    packRows(source, 4 * p.leftRowStride, 4 * p.leftDepthStride, endRow - row, steps, weights, strip);
  }
}

@inline
function packRight(p: ProductHeader, column: u32, start: u32, steps: u32, strip: usize): void {
  const source = p.right + 4 * (start * p.rightDepthStride + column * p.rightColumnStride);
  packColumns(source, 4 * p.rightColumnStride, 4 * p.rightDepthStride, p.columns - column, steps, strip);
}

/** Bytes of the scratch that a call of `updateProduct` needs; also enough for `invertFactor`. */
export function productScratchBytes(): u32 {
  return <u32>scratchBytes;
}
