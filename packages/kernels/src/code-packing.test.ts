import { packCodes, packSharedCodes, unpackCodes, unpackSharedCodes } from '@lbs/format';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { CodePacking, createKernels, type Kernels } from './index.js';

let kernels: Kernels;
let packing: CodePacking;
beforeAll(async () => {
  kernels = await createKernels();
  packing = new CodePacking(kernels);
});

/** Arbitrary bytes: what lies above the code must not leak into the neighbours. */
const shapes = fc.record({
  rows: fc.integer({ min: 1, max: 4 }),
  columns: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.constantFrom(63, 64, 65, 128, 192)),
  seed: fc.nat(),
});

function arbitraryBytes(length: number, seed: number): Uint8Array {
  let state = seed;
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
}

/** What `compute` writes into a place of `length` bytes; the bytes around it must stay. */
function written(length: number, compute: (target: number) => void): Uint8Array {
  const guard = 16;
  const place = kernels.allocate(length + 2 * guard);
  kernels.uint8(place, length + 2 * guard).fill(0xa5);
  compute(place + guard);
  const all = kernels.uint8(place, length + 2 * guard).slice();
  expect(all.subarray(0, guard).every((byte) => byte === 0xa5)).toBe(true);
  expect(all.subarray(length + guard).every((byte) => byte === 0xa5)).toBe(true);
  return all.slice(guard, length + guard);
}

function holding(bytes: Uint8Array): number {
  const place = kernels.allocate(bytes.length);
  kernels.uint8(place, bytes.length).set(bytes);
  return place;
}

const inScratch = (use: () => void) => {
  const mark = kernels.mark();
  use();
  kernels.release(mark);
};

describe.each([1, 2, 3, 4, 5, 6, 7, 8])('private codes of %i bits', (bits) => {
  test('are packed and unpacked as the format does', () => {
    fc.assert(
      fc.property(shapes, ({ rows, columns, seed }) =>
        inScratch(() => {
          const codes = arbitraryBytes(rows * columns, seed);
          const shape = { rows, columns, bits };
          const rowBytes = 8 * bits * Math.ceil(columns / 64);
          const expected = new Uint8Array(rows * rowBytes);
          const back = new Uint8Array(rows * columns);
          for (let r = 0; r < rows; r++) {
            packCodes(codes.subarray(r * columns, (r + 1) * columns), bits, expected, r * rowBytes);
            unpackCodes(expected, bits, back.subarray(r * columns, (r + 1) * columns), r * rowBytes);
          }
          const source = holding(codes);
          const packed = written(expected.length, (target) => packing.packRows(source, target, shape));
          expect(packed).toEqual(expected);
          const planes = holding(packed);
          expect(written(codes.length, (target) => packing.unpackRows(planes, target, shape))).toEqual(back);
        }),
      ),
      { numRuns: 60 },
    );
  });
});

describe.each([1, 2, 3, 4])('shared codes of %i bits', (bits) => {
  test('are packed and unpacked as the format does', () => {
    fc.assert(
      fc.property(shapes, ({ rows, columns, seed }) =>
        inScratch(() => {
          const codes = arbitraryBytes(rows * columns, seed);
          const shape = { rows, columns, bits };
          const rowBytes = Math.ceil((columns * bits) / 8);
          const expected = new Uint8Array(rows * rowBytes);
          const back = new Uint8Array(rows * columns);
          for (let r = 0; r < rows; r++) {
            packSharedCodes(codes.subarray(r * columns, (r + 1) * columns), bits, expected, r * rowBytes);
            unpackSharedCodes(expected, bits, back.subarray(r * columns, (r + 1) * columns), r * rowBytes);
          }
          const source = holding(codes);
          const packed = written(expected.length, (target) => packing.packSharedRows(source, target, shape));
          expect(packed).toEqual(expected);
          const stream = holding(packed);
          expect(written(codes.length, (target) => packing.unpackSharedRows(stream, target, shape))).toEqual(
            back,
          );
        }),
      ),
      { numRuns: 60 },
    );
  });
});

test.each([0, 9, 1.5, Number.NaN])('%d bits are refused', (bits) => {
  const shape = { rows: 1, columns: 64, bits };
  for (const use of ['packRows', 'unpackRows', 'packSharedRows', 'unpackSharedRows'] as const) {
    expect(() => packing[use](4096, 8192, shape)).toThrow(/bits must be/);
  }
});
