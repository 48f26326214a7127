import { dequantize, packingUnit } from '@lbs/format';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ggufDequantizers } from './gguf-dequantize.js';
import { isPackedGgufType, packGgufMatrix } from './gguf-packed-matrix.js';
import { ggufTypeNamed } from './gguf-types.js';

const types = ['Q4_0', 'Q4_1', 'Q8_0', 'Q4_K', 'Q6_K'];

/** The values of a packed matrix, as whoever computes with it sees them. */
function valuesOf(type: string, bytes: Uint8Array<ArrayBuffer>, rows: number, columns: number): Float32Array {
  const { matrix, offsets } = packGgufMatrix(type, bytes, rows, columns)!;
  const weights = dequantize(matrix);
  return offsets ? weights.map((weight, i) => weight + offsets[Math.floor(i / 32)]!) : weights;
}

describe('packGgufMatrix', () => {
  it.each(types)('%s keeps every value to the bit', (type) => {
    const { blockSize, bytesPerBlock } = ggufTypeNamed(type)!;
    const shape = fc.record({ rows: fc.integer({ min: 1, max: 4 }), units: fc.integer({ min: 1, max: 3 }) });
    const block = fc.uint8Array({ minLength: bytesPerBlock, maxLength: bytesPerBlock });
    const matrices = shape.chain(({ rows, units }) => {
      const columns = Math.max(packingUnit, blockSize) * units;
      const blocks = (rows * columns) / blockSize;
      return fc.record({
        rows: fc.constant(rows),
        columns: fc.constant(columns),
        blocks: fc.array(block, { minLength: blocks, maxLength: blocks }),
      });
    });
    fc.assert(
      fc.property(matrices, ({ rows, columns, blocks }) => {
        const bytes = new Uint8Array(blocks.length * bytesPerBlock);
        for (const [i, each] of blocks.entries()) bytes.set(each, i * bytesPerBlock);
        const expected = ggufDequantizers.get(type).dequantize(bytes.slice());
        expect(valuesOf(type, bytes, rows, columns)).toEqual(expected);
      }),
    );
  });

  it('leaves types without an equal format, and rows that are no whole units, to others', () => {
    expect(types.every(isPackedGgufType)).toBe(true);
    expect(isPackedGgufType('Q3_K')).toBe(false);
    expect(packGgufMatrix('Q3_K', new Uint8Array(110), 1, 256)).toBeUndefined();
    expect(packGgufMatrix('Q4_0', new Uint8Array(18), 1, 32)).toBeUndefined();
  });
});
