import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonFixture } from '../fixtures/paths.js';
import { ggufDequantizers } from './gguf-dequantize.js';
import { ggufQuantizers } from './gguf-quantize.js';

const fromBase64 = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const golden = jsonFixture<{ values: string; types: { type: string; bytes: string }[] }>('quantized.json');
const values = new Float32Array(fromBase64(golden.values).buffer);

describe('stored values', () => {
  it.each(golden.types)('of $type are those of ggml, bit for bit', ({ type, bytes }) => {
    const { bytesPerBlock, quantize } = ggufQuantizers.get(type);
    const found = quantize(values.slice());
    const expected = fromBase64(bytes);
    expect(found).toHaveLength(expected.length);
    for (let block = 0; block * bytesPerBlock < expected.length; block++) {
      const range = [block * bytesPerBlock, (block + 1) * bytesPerBlock] as const;
      expect([...found.subarray(...range)], `block ${block}`).toEqual([...expected.subarray(...range)]);
    }
  });

  it('cover every type that can be written', () => {
    expect(golden.types.map(({ type }) => type).sort()).toEqual([...ggufQuantizers.names].sort());
  });

  /** Greatest error of a value, as a part of the block's greatest magnitude; of evenly spaced levels half of their distance. */
  const errors = {
    F32: 0,
    F16: 2 ** -11,
    BF16: 2 ** -8,
    Q8_0: 0.6 / 127,
    Q4_0: 1.02 / 8,
    Q4_1: 1.1 / 15,
    IQ4_NL: 0.2,
  };
  it.each(Object.entries(errors))('of %s come back about as they were', (type, limit) => {
    const block = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 32, maxLength: 32 });
    fc.assert(
      fc.property(block, fc.integer({ min: -8, max: 8 }), (numbers, power) => {
        const original = Float32Array.from(numbers, (number) => number * 2 ** power);
        const restored = ggufDequantizers
          .get(type)
          .dequantize(ggufQuantizers.get(type).quantize(original.slice()));
        const greatest = Math.max(...original.map(Math.abs));
        for (const [j, value] of original.entries()) {
          expect(Math.abs(restored[j]! - value)).toBeLessThanOrEqual(limit * greatest + 127 * 2 ** -24);
        }
      }),
    );
  });
});
