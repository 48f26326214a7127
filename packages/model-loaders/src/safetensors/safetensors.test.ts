import { readFileSync } from 'node:fs';
import {
  InvalidArgumentError,
  MalformedFileError,
  type SafetensorsDtype,
  safetensorsDtypes,
  serializeSafetensorsHeader,
  UnsupportedError,
} from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../fixtures/memory-source.js';
import { fixture, jsonFixture } from '../fixtures/paths.js';
import { openSafetensors } from './safetensors.js';
import { openShardedSafetensors, parseShardIndex } from './safetensors-shards.js';

/** A file of tensors, one-dimensional unless another shape is given. */
function fileOf(
  tensors: Readonly<Record<string, readonly [SafetensorsDtype, ArrayBufferView & { length: number }]>>,
  shape?: readonly number[],
) {
  const specs = Object.entries(tensors).map(([name, [dtype, { length }]]) => ({
    name,
    dtype,
    shape: shape ?? [length],
  }));
  const header = serializeSafetensorsHeader(specs);
  const file = new Uint8Array(header.fileSize);
  file.set(header.bytes);
  for (const { name, begin } of header.order) {
    const { buffer, byteOffset, byteLength } = tensors[name]![1];
    file.set(new Uint8Array(buffer, byteOffset, byteLength), header.bytes.length + begin);
  }
  return file;
}

describe('a file that Python wrote', () => {
  const open = () =>
    openSafetensors(
      memorySource(Uint8Array.from(readFileSync(fixture('from-python.safetensors'))), 'python'),
    );

  it('has these tensors and metadata', async () => {
    const reader = await open();
    expect(Object.fromEntries(reader.tensors)).toEqual({
      indices: { dtype: 'I64', shape: [1, 2], byteLength: 16 },
      double: { dtype: 'F64', shape: [2], byteLength: 16 },
      empty: { dtype: 'F32', shape: [0, 4], byteLength: 0 },
      scalar: { dtype: 'F32', shape: [], byteLength: 4 },
      weight: { dtype: 'F32', shape: [2, 3], byteLength: 24 },
      half: { dtype: 'F16', shape: [3], byteLength: 6 },
      codes: { dtype: 'U8', shape: [5], byteLength: 5 },
    });
    expect([...reader.metadata]).toEqual([['made by', 'safetensors of Python']]);
  });

  it('is laid out as our writer would', async () => {
    const reader = await open();
    const specs = Array.from(reader.tensors, ([name, { dtype, shape }]) => ({ name, dtype, shape }));
    expect(serializeSafetensorsHeader(specs.reverse()).order.map(({ name }) => name)).toEqual([
      ...reader.tensors.keys(),
    ]);
  });

  it('has these values', async () => {
    const reader = await open();
    expect(await reader.readFloat32('weight')).toEqual(Float32Array.of(0, 0.25, 0.5, 0.75, 1, 1.25));
    expect(await reader.readFloat32('half')).toEqual(Float32Array.of(1.5, -2, 65504));
    expect(await reader.readFloat32('double')).toEqual(Float32Array.of(0.1, Number.NEGATIVE_INFINITY));
    expect(await reader.readFloat32('scalar')).toEqual(Float32Array.of(3.5));
    expect(await reader.readFloat32('empty')).toEqual(new Float32Array(0));
    expect(await reader.readBytes('codes')).toEqual(Uint8Array.of(0, 1, 2, 3, 4));
    expect(await reader.readFloat32('codes')).toEqual(Float32Array.of(0, 1, 2, 3, 4));
    await expect(reader.readFloat32('weigth')).rejects.toThrow(InvalidArgumentError);
  });
});

describe('every dtype', () => {
  const open = () =>
    openSafetensors(memorySource(Uint8Array.from(readFileSync(fixture('every-dtype.safetensors')))));
  const expected = Object.entries(jsonFixture<Record<string, string>>('every-dtype.json'));

  it.each(expected)('%s has the values that PyTorch gives it', async (name, values) => {
    const reader = await open();
    expect(reader.tensors.get(name)!.dtype).toBe(name);
    const found = await reader.readFloat32(name);
    const bits = Array.from(new Uint32Array(found.buffer), (word, i) =>
      Number.isNaN(found[i]) ? 'nan' : word.toString(16).padStart(8, '0'),
    );
    expect(bits.join(' ')).toBe(values);
  });

  it('is among them, or refused with the reason', async () => {
    const known = new Set(expected.map(([name]) => name));
    for (const dtype of safetensorsDtypes.filter((name) => !known.has(name))) {
      const file = fileOf({ w: [dtype, new Uint8Array(24)] }, [dtype === 'C64' ? 3 : 32]);
      const reader = await openSafetensors(memorySource(file));
      expect(await reader.readBytes('w')).toHaveLength(24);
      await expect(reader.readFloat32('w')).rejects.toThrow(UnsupportedError);
      await expect(reader.readFloat32('w')).rejects.toThrow(
        /cannot be read as float32: (complex|the format)/,
      );
    }
  });

  it('has rows, also where they begin inside of a byte', async () => {
    const file = fileOf({ w: ['F4', Uint8Array.of(0x21, 0x43, 0x65, 0x07, 0, 0)] }, [4, 3]);
    const reader = await openSafetensors(memorySource(file));
    const values = [0.5, 1, 1.5, 2, 3, 4, 6, 0, 0, 0, 0, 0];
    expect([...(await reader.readFloat32('w'))]).toEqual(values);
    for (let first = 0; first < 4; first++) {
      for (let count = 0; count <= 4 - first; count++) {
        const rows = await reader.readFloat32('w', { rows: { first, count } });
        expect([...rows]).toEqual(values.slice(3 * first, 3 * (first + count)));
      }
    }
  });
});

describe('openSafetensors', () => {
  it('reads bfloat16 and what cannot be aligned in the file', async () => {
    const json =
      '{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"BF16","shape":[2],"data_offsets":[1,5]}}';
    const file = new Uint8Array(8 + json.length + 5);
    new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
    file.set(new TextEncoder().encode(json), 8);
    file.set([7, 0x80, 0x3f, 0x20, 0xc0], 8 + json.length);
    expect(await (await openSafetensors(memorySource(file))).readFloat32('b')).toEqual(
      Float32Array.of(1, -2.5),
    );
  });

  it('refuses files that are cut or something else', async () => {
    const file = fileOf({ w: ['F32', Float32Array.of(1, 2)] });
    for (const length of [0, 5, 8, 40, file.length - 1]) {
      await expect(openSafetensors(memorySource(file.slice(0, length)))).rejects.toThrow(MalformedFileError);
    }
    const text = new TextEncoder().encode('version https://git-lfs.github.com/spec/v1');
    await expect(openSafetensors(memorySource(text, 'pointer'))).rejects.toThrow(MalformedFileError);
  });

  it('can be cancelled', async () => {
    const source = memorySource(fileOf({ w: ['F32', Float32Array.of(1)] }));
    const reader = await openSafetensors(source);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(reader.readFloat32('w', { signal })).rejects.toThrow('enough');
    await expect(openSafetensors(source, { signal })).rejects.toThrow('enough');
  });
});

describe('shards', () => {
  const shards: Readonly<Record<string, Uint8Array<ArrayBuffer>>> = {
    'model-00001-of-00002.safetensors': fileOf({
      a: ['F32', Float32Array.of(1)],
      b: ['F32', Float32Array.of(2)],
    }),
    'model-00002-of-00002.safetensors': fileOf({
      c: ['F32', Float32Array.of(4)],
    }),
  };
  const weight_map = {
    c: 'model-00002-of-00002.safetensors',
    a: 'model-00001-of-00002.safetensors',
    b: 'model-00001-of-00002.safetensors',
  };
  const open = (map: object) =>
    openShardedSafetensors(
      parseShardIndex({ weight_map: map }, 'index.json'),
      async (name) => memorySource(shards[name]!, name),
      { file: 'index.json' },
    );

  it('are read as one model, each tensor from the file that the index names', async () => {
    const reader = await open(weight_map);
    expect([...reader.tensors.keys()]).toEqual(['a', 'b', 'c']);
    for (const [name, value] of Object.entries({ a: 1, b: 2, c: 4 })) {
      expect(await reader.readFloat32(name)).toEqual(Float32Array.of(value));
      expect(await reader.readFloat32(name, { rows: { first: 0, count: 1 } })).toEqual(
        Float32Array.of(value),
      );
      expect(await reader.readFloat32(name, { rows: { first: 1, count: 0 } })).toEqual(new Float32Array());
      for await (const piece of reader.readPieces(name)) expect(piece).toEqual(await reader.readBytes(name));
      for (const rows of [
        { first: 0, count: 2 },
        { first: -1, count: 1 },
        { first: 0.5, count: 0 },
      ]) {
        await expect(reader.readFloat32(name, { rows })).rejects.toThrow(/not among the 1 rows/);
      }
    }
    await expect(reader.readBytes('d')).rejects.toThrow(InvalidArgumentError);
  });

  it('may have tensors that the index does not name', async () => {
    const { b: _, ...others } = weight_map;
    expect([...(await open(others)).tensors.keys()]).toEqual(['a', 'c']);
  });

  it('are refused when two have the same tensor', async () => {
    const twice = {
      ...shards,
      'model-00003-of-00003.safetensors': fileOf({
        a: ['F32', Float32Array.of(1)],
        d: ['F32', Float32Array.of(1)],
      }),
    };
    const map = { ...weight_map, d: 'model-00003-of-00003.safetensors' };
    const opening = openShardedSafetensors(
      parseShardIndex({ weight_map: map }, 'index.json'),
      async (name) => memorySource((twice as typeof shards)[name]!, name),
      { file: 'index.json' },
    );
    await expect(opening).rejects.toThrow(
      'index.json, tensor "a": both model-00001-of-00002.safetensors and model-00003-of-00003.safetensors have this tensor.',
    );
  });

  it('are refused when one lacks a tensor', async () => {
    await expect(open({ ...weight_map, d: 'model-00001-of-00002.safetensors' })).rejects.toThrow(
      'index.json, tensor "d": model-00001-of-00002.safetensors lacks this tensor.',
    );
  });

  it.each([
    '../secret.safetensors',
    '/etc/x.safetensors',
    'a\\b.safetensors',
    'pytorch_model.bin',
    '',
    7,
    null,
  ])('are refused under the file name %j', (name) => {
    expect(() => parseShardIndex({ weight_map: { a: name } }, 'index.json')).toThrow(MalformedFileError);
  });

  it('are refused without a weight map or with too many files', () => {
    expect(() => parseShardIndex({}, 'index.json')).toThrow(MalformedFileError);
    const many = Object.fromEntries(Array.from({ length: 10_001 }, (_, i) => [`t${i}`, `s${i}.safetensors`]));
    expect(() => parseShardIndex({ weight_map: many }, 'index.json')).toThrow('10001 shards');
  });
});
