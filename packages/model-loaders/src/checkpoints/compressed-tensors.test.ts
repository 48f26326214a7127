import type { SafetensorsDtype } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import type { SafetensorsInfo } from '../safetensors/safetensors.js';
import { checkpointOf } from './checkpoint-methods.js';
import { dequantizingStore } from './dequantizing-store.js';

type Part = readonly [info: SafetensorsInfo, bytes: Uint8Array<ArrayBuffer>];

function part(dtype: SafetensorsDtype, shape: number[], data: ArrayBufferView): Part {
  const bytes = new Uint8Array(data.buffer as ArrayBuffer);
  return [{ dtype, shape, byteLength: bytes.length }, bytes];
}

/** Values of the only matrix of some parts. */
async function valuesOf(
  parts: ReadonlyMap<string, Part>,
  format: string,
  weights: object,
): Promise<readonly number[]> {
  const quantization_config = {
    quant_method: 'compressed-tensors',
    format,
    config_groups: { group_0: { targets: ['Linear'], weights } },
  };
  const readBytes = async (name: string) => parts.get(name)![1].slice();
  const store = {
    tensors: new Map(Array.from(parts, ([name, [info]]) => [name, info])),
    readBytes,
    async *readPieces(name: string) {
      yield await readBytes(name);
    },
    readFloat32: async (name: string) => Float32Array.from(await readBytes(name)),
  };
  const opened = await dequantizingStore(store, checkpointOf({ quantization_config }, 'f')!, {
    file: 'f',
    isExpected: () => false,
  });
  return [...(await opened.readFloat32('m.weight'))];
}

describe('a checkpoint of compressed-tensors', () => {
  it('of an older version has words of whole codes', async () => {
    const columns = 64;
    const codes = Array.from({ length: columns }, (_, i) => (i * 5) % 8);
    const words = new Uint32Array(Math.ceil(columns / 10));
    codes.forEach((code, i) => {
      words[Math.floor(i / 10)]! |= code << (3 * (i % 10));
    });
    const parts = new Map([
      ['m.weight_packed', part('I32', [1, words.length], words)],
      ['m.weight_scale', part('F32', [1, 1], Float32Array.of(0.5))],
      ['m.weight_shape', part('I32', [2], Int32Array.of(1, columns))],
    ]);
    const values = await valuesOf(parts, 'pack-quantized', { num_bits: 3, strategy: 'channel' });
    expect(values).toEqual(codes.map((code) => (code - 4) / 2));
  });

  it('with an order of activations has the group of each input', async () => {
    const parts = new Map([
      ['m.weight', part('I8', [2, 4], Int8Array.of(1, 2, 3, 4, -1, -2, -3, -4))],
      ['m.weight_scale', part('F32', [2, 2], Float32Array.of(1, 10, 100, 1000))],
      ['m.weight_g_idx', part('I32', [4], Int32Array.of(1, 0, 0, 1))],
    ]);
    const values = await valuesOf(parts, 'int-quantized', { num_bits: 8, strategy: 'group', group_size: 2 });
    expect(values).toEqual([10, 2, 3, 40, -1000, -200, -300, -4000]);
  });

  it('without rows or columns has no values', async () => {
    for (const shape of [
      [0, 4],
      [2 ** 40, 0],
    ]) {
      const parts = new Map([
        ['m.weight', part('I8', shape, new Int8Array())],
        ['m.weight_scale', part('F32', [0], new Float32Array())],
      ]);
      expect(await valuesOf(parts, 'int-quantized', { num_bits: 8, strategy: 'channel' })).toEqual([]);
    }
  });
});
