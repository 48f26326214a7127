import { serializeSafetensorsHeader } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { architectureOf } from '../config/architectures.js';
import { parseConfig } from '../config/huggingface-config.js';
import { memorySource } from '../fixtures/memory-source.js';
import { openSafetensors } from '../safetensors/safetensors.js';
import { viewCheckpoint } from './checkpoint-view.js';

const file = 'model.safetensors';
const json = { model_type: 'gpt2', n_embd: 2, n_layer: 1, n_head: 1, vocab_size: 3 };
const config = parseConfig(json, 'config.json');
/** [2, 6] as GPT-2 stores [6, 2], and an embedding, under the names of the first checkpoints. */
const tensors = [
  { name: 'h.0.attn.c_attn.weight', dtype: 'BF16', shape: [2, 6] },
  { name: 'wte.weight', dtype: 'BF16', shape: [3, 2] },
] as const;

/** `upright` names the matrices that are [out, in] already. */
async function view(...upright: readonly string[]) {
  const header = serializeSafetensorsHeader(tensors);
  const bytes = new Uint8Array(header.fileSize);
  bytes.set(header.bytes);
  for (const { begin, name } of header.order) {
    const count = name.startsWith('h') ? 12 : 6;
    // 1, 2, 3 ... as BF16.
    const words = Uint16Array.from(
      new Uint32Array(Float32Array.from({ length: count }, (_, i) => i + 1).buffer),
      (w) => w >>> 16,
    );
    bytes.set(new Uint8Array(words.buffer), header.bytes.length + begin);
  }
  const store = await openSafetensors(memorySource(bytes, file));
  return viewCheckpoint(store, {
    architecture: architectureOf('gpt2', file),
    config,
    file,
    isUpright: (original) => upright.includes(original),
  });
}

const name = 'transformer.h.0.attn.c_attn.weight';

describe('a checkpoint whose matrices are [in, out]', () => {
  it('is seen with matrices [out, in], under the names of the layout', async () => {
    const store = await view();
    expect([...store.tensors.keys()].sort()).toEqual([name, 'transformer.wte.weight']);
    expect(store.tensors.get(name)!.shape).toEqual([6, 2]);
    expect([...(await store.readFloat32(name))]).toEqual([1, 7, 2, 8, 3, 9, 4, 10, 5, 11, 6, 12]);
    expect([...(await store.readFloat32(name, { rows: { first: 1, count: 2 } }))]).toEqual([2, 8, 3, 9]);
    const bytes = await store.readBytes(name);
    const pieces: number[] = [];
    for await (const piece of store.readPieces(name)) pieces.push(...piece);
    expect(pieces).toEqual([...bytes]);
    expect(new Uint16Array(bytes.buffer)[1]).toBe(0x40e0);
    expect([...(await store.readFloat32('transformer.wte.weight'))]).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('is seen as it is where it was quantized', async () => {
    expect((await view('wte.weight')).tensors.get(name)!.shape).toEqual([6, 2]);
    const store = await view('h.0.attn.c_attn.weight');
    expect(store.tensors.get(name)!.shape).toEqual([2, 6]);
    expect((await store.readFloat32(name))[1]).toBe(2);
  });

  it('names a tensor that there is not', async () => {
    const store = await view();
    await expect(store.readBytes('wte.weight')).rejects.toThrow(
      '"wte.weight": there is no such tensor among 2',
    );
    await expect(store.readFloat32(name, { rows: { first: 5, count: 2 } })).rejects.toThrow(
      'not among the 6 rows',
    );
  });
});
