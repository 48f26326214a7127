import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { jsonFixture } from '../fixtures/paths.js';
import { ggufDequantizers } from './gguf-dequantize.js';

const fromBase64 = (text: string) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
const golden = jsonFixture<{ type: string; bytes: string; values: string }[]>('dequantized.json');

describe('dequantized values', () => {
  it.each(golden)('of $type are those of gguf-py or ggml, bit for bit', ({ type, bytes, values }) => {
    const found = ggufDequantizers.get(type).dequantize(fromBase64(bytes));
    expect(new Uint32Array(found.buffer)).toEqual(new Uint32Array(fromBase64(values).buffer));
  });

  it('cover every type that can be read', () => {
    expect(golden.map(({ type }) => type).sort()).toEqual([...ggufDequantizers.names].sort());
  });

  it.each(ggufDequantizers.names)('of %s take each block for itself', (name) => {
    const { blockSize, bytesPerBlock, dequantize } = ggufDequantizers.get(name);
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 3 * bytesPerBlock, maxLength: 3 * bytesPerBlock }), (bytes) => {
        const all = dequantize(Uint8Array.from(bytes));
        expect(all).toHaveLength(3 * blockSize);
        for (let i = 0; i < 3; i++) {
          const alone = dequantize(bytes.slice(i * bytesPerBlock, (i + 1) * bytesPerBlock));
          expect(all.slice(i * blockSize, (i + 1) * blockSize)).toEqual(alone);
        }
      }),
      { numRuns: 20 },
    );
  });
});
