import { readFileSync } from 'node:fs';
import { LbsError, MalformedFileError, TensorMismatchError, UnsupportedError } from '@lbs/format';
import { beforeAll, describe, expect, it } from 'vitest';
import type { JsonObject } from '../config/json-file.js';
import { memorySource } from '../fixtures/memory-source.js';
import { fixture } from '../fixtures/paths.js';
import type { TensorStore } from '../model/tensor-store.js';
import { openSafetensors, type SafetensorsInfo, type SafetensorsReader } from '../safetensors/safetensors.js';
import { checkpointOf } from './checkpoint-methods.js';
import { dequantizingStore } from './dequantizing-store.js';

type Part = readonly [info: SafetensorsInfo, bytes: Uint8Array<ArrayBuffer>];
const file = 'model';
const cases = [
  ...['2', '3', '4', '8'].flatMap((bits) => [`gptq${bits}`, `gptq${bits}-act-order`]),
  'gptq4-v2',
  'gptq4-mislabelled',
  'awq4',
  'pack4-group',
  'pack4-group-asymmetric',
  'pack8-channel',
  'pack8-channel-asymmetric',
  'pack3-group',
  'pack3-group-asymmetric',
  'int8-channel',
  'int8-tensor',
  'int8-group-asymmetric',
  'float8-tensor',
  'float8-channel',
  'float8-block',
  'nf4-bfloat16',
  'nf4-bfloat16-nested',
  'nf4-float16',
  'nf4-float16-nested',
  'fp4-float32',
  'fp4-float32-nested',
  'nf4-blocks-across-rows',
  'nf4-many-blocks',
];

let vectors: SafetensorsReader;
beforeAll(async () => {
  vectors = await openSafetensors(
    memorySource(Uint8Array.from(readFileSync(fixture('checkpoints.safetensors')))),
  );
});

const configOf = (name: string) => JSON.parse(vectors.metadata.get(name)!) as JsonObject;

/** The parts of a case by their names, `m.qweight` and so on. */
async function partsOf(name: string): Promise<Map<string, Part>> {
  const parts = new Map<string, Part>();
  for (const [tensor, info] of vectors.tensors) {
    if (tensor.startsWith(`${name}.m.`))
      parts.set(tensor.slice(name.length + 1), [info, await vectors.readBytes(tensor)]);
  }
  return parts;
}

function storeOf(
  parts: ReadonlyMap<string, Part>,
): TensorStore<SafetensorsInfo> & { readonly reads: string[] } {
  const reads: string[] = [];
  const readBytes = async (name: string) => {
    reads.push(name);
    return parts.get(name)![1].slice();
  };
  return {
    tensors: new Map(Array.from(parts, ([name, [info]]) => [name, info])),
    readBytes,
    async *readPieces(name) {
      yield await readBytes(name);
    },
    readFloat32: async (name) => Float32Array.from(await readBytes(name)),
    reads,
  };
}

const open = async (
  store: TensorStore<SafetensorsInfo>,
  quantization_config: JsonObject,
  isExpected = () => false,
) => dequantizingStore(store, checkpointOf({ quantization_config }, file)!, { file, isExpected });

describe('a quantized matrix', () => {
  it('is in every vector', () => {
    expect([...vectors.metadata.keys()].sort()).toEqual([...cases].sort());
  });

  it.each(cases)('%s has the values of the code that it comes from', async (name) => {
    const store = await open(storeOf(await partsOf(name)), configOf(name));
    const { dtype, shape, byteLength } = vectors.tensors.get(`${name}.expected`)!;
    expect([...store.tensors]).toEqual([['m.weight', { dtype, shape, byteLength }]]);
    const expected = await vectors.readFloat32(`${name}.expected`);
    expect(new Set(expected).size).toBeGreaterThan(10);
    expect(await store.readFloat32('m.weight')).toEqual(expected);
    const bytes = await vectors.readBytes(`${name}.expected`);
    expect(await store.readBytes('m.weight')).toEqual(bytes);
    let at = 0;
    for await (const piece of store.readPieces('m.weight')) {
      expect(piece).toEqual(bytes.slice(at, at + piece.length));
      at += piece.length;
    }
    expect(at).toBe(bytes.length);
    const [rows, columns] = shape as [number, number];
    for (const [first, count] of [
      [0, 1],
      [rows - 1, 1],
      [3, 5],
      [rows, 0],
    ] as const) {
      const some = await store.readFloat32('m.weight', { rows: { first, count } });
      expect(some).toEqual(expected.slice(first * columns, (first + count) * columns));
    }
    await expect(store.readFloat32('m.weight', { rows: { first: rows, count: 1 } })).rejects.toThrow(/rows/);
    await expect(store.readFloat32('m.qweight')).rejects.toThrow(/no such tensor/);
  });

  it('reads its parts once for all rows', async () => {
    const source = storeOf(await partsOf('gptq4'));
    const store = await open(source, configOf('gptq4'));
    expect(source.reads).toEqual([]);
    for (let first = 0; first < 8; first++)
      await store.readFloat32('m.weight', { rows: { first, count: 1 } });
    expect(source.reads).toEqual(['m.qweight', 'm.qzeros', 'm.scales', 'm.g_idx']);
  });

  it('keeps the tensors that are not quantized', async () => {
    const norm: Part = [{ dtype: 'F16', shape: [2], byteLength: 2 }, Uint8Array.of(1, 2)];
    const store = await open(
      storeOf(new Map([['norm.weight', norm], ...(await partsOf('awq4'))])),
      configOf('awq4'),
    );
    expect([...store.tensors.keys()]).toEqual(['norm.weight', 'm.weight']);
    expect(await store.readBytes('norm.weight')).toEqual(norm[1]);
  });

  it('loses a bias of zeros that the model has not, and no other', async () => {
    const bias = (byte: number): Part => [
      { dtype: 'F16', shape: [32], byteLength: 64 },
      new Uint8Array(64).fill(byte),
    ];
    for (const [byte, isExpected, names] of [
      [0, false, ['m.weight']],
      [0, true, ['m.weight', 'm.bias']],
      [1, false, ['m.weight', 'm.bias']],
    ] as const) {
      const parts = new Map([...(await partsOf('gptq4')), ['m.bias', bias(byte)] as const]);
      const store = await open(storeOf(parts), configOf('gptq4'), () => isExpected);
      expect([...store.tensors.keys()]).toEqual(names);
    }
  });

  it('of several groups is of the one whose target it matches', async () => {
    const config = configOf('pack4-group');
    const { group_0 } = config['config_groups'] as { group_0: { weights: object } };
    const other = { targets: ['Linear'], weights: { num_bits: 8, strategy: 'channel' } };
    const groups = { group_0: other, group_1: { ...group_0, targets: ['re:^m'] } };
    const parts = await partsOf('pack4-group');
    const store = await open(storeOf(parts), { ...config, config_groups: groups });
    expect(await store.readFloat32('m.weight')).toEqual(await vectors.readFloat32('pack4-group.expected'));
    const swapped = { group_0: { ...other, targets: ['m'] }, group_1: group_0 };
    await expect(open(storeOf(parts), { ...config, config_groups: swapped })).rejects.toThrow(
      MalformedFileError,
    );
    const none = { group_0: { ...group_0, targets: ['a'] }, group_1: { ...group_0, targets: ['b'] } };
    await expect(open(storeOf(parts), { ...config, config_groups: none })).rejects.toThrow(UnsupportedError);
    const lookahead = { group_0: { ...group_0, targets: ['re:(?=m)'] }, group_1: group_0 };
    await expect(open(storeOf(parts), { ...config, config_groups: lookahead })).rejects.toThrow(
      UnsupportedError,
    );
  });
});

describe('refused', () => {
  it.each(cases)('is %s without one of its parts', async (name) => {
    const all = await partsOf(name);
    // Without its marker or its order a matrix is another one, or none.
    const optional = /g_idx|weight_scale$|quant_state|qweight|weight_packed|^m\.weight$|nested/;
    for (const missing of [...all.keys()].filter((part) => !optional.test(part))) {
      const parts = new Map([...all].filter(([part]) => part !== missing));
      await expect(open(storeOf(parts), configOf(name))).rejects.toThrow(TensorMismatchError);
    }
  });

  it.each(cases)('is %s with a part of another shape', async (name) => {
    const all = await partsOf(name);
    for (const [part, [info, bytes]] of all) {
      // The text of a state may have any length, and weights that nothing else describes any shape.
      if (/quant_state/.test(part) || (part === 'm.weight' && /int8|float8/.test(name))) continue;
      const shape = [...info.shape.slice(0, -1), (info.shape.at(-1) ?? 0) + 2];
      const parts = new Map(all).set(part, [{ ...info, shape, byteLength: bytes.length + 2 }, bytes]);
      await expect(open(storeOf(parts), configOf(name)), part).rejects.toSatisfy(LbsError.isInstance);
    }
  });

  it.each([
    ['gptq4-act-order', 'm.g_idx', Int32Array.of(-1)],
    ['gptq4-act-order', 'm.g_idx', Int32Array.of(2)],
  ] as const)('is %s with a group in %s that does not exist', async (name, part, wrong) => {
    const all = await partsOf(name);
    const [info, bytes] = all.get(part)!;
    const changed = bytes.slice();
    changed.set(new Uint8Array(wrong.buffer));
    const store = await open(storeOf(new Map(all).set(part, [info, changed])), configOf(name));
    await expect(store.readFloat32('m.weight')).rejects.toThrow(/is none of 2/);
  });

  it.each([
    '[]',
    '{"shape":[16,128],"blocksize":0,"dtype":"bfloat16"}',
    '{"shape":[16,128],"blocksize":64,"dtype":"toString"}',
    '{"shape":[24],"blocksize":64,"dtype":"bfloat16"}',
    '{"shape":[1e15,1e15],"blocksize":64,"dtype":"bfloat16"}',
    '{"shape":[16,129],"blocksize":64,"dtype":"bfloat16"}',
  ])('is a state of bitsandbytes that is %s', async (text) => {
    const all = await partsOf('nf4-bfloat16');
    const bytes = new TextEncoder().encode(text);
    const state: Part = [{ dtype: 'U8', shape: [bytes.length], byteLength: bytes.length }, bytes];
    const parts = new Map(all).set('m.weight.quant_state.bitsandbytes__nf4', state);
    await expect(open(storeOf(parts), configOf('nf4-bfloat16'))).rejects.toThrow(MalformedFileError);
  });
});
