import { readFileSync } from 'node:fs';
import { gguf as huggingFaceGguf } from '@huggingface/gguf';
import { InvalidArgumentError, MalformedFileError, UnsupportedError } from '@lbs/format';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type CraftedGguf, craftGguf, string, u32, u64, value } from '../fixtures/craft-gguf.js';
import { memorySource } from '../fixtures/memory-source.js';
import { fixture } from '../fixtures/paths.js';
import { openGguf } from './gguf.js';

const open = (crafted: CraftedGguf) => openGguf(memorySource(craftGguf(crafted), 'crafted.gguf'));

describe('a file that gguf-py wrote', () => {
  const bytes = Uint8Array.from(readFileSync(fixture('from-python.gguf')));

  it('has these metadata', async () => {
    const { metadata, version } = await openGguf(memorySource(bytes));
    expect(version).toBe(3);
    expect(Object.fromEntries(metadata)).toEqual({
      'general.architecture': 'test',
      u8: 200,
      i8: -100,
      u16: 60000,
      i16: -30000,
      u32: 4000000000,
      i32: -2000000000,
      u64: 2 ** 53 - 1,
      'u64.large': 2n ** 64n - 1n,
      i64: -(2 ** 53) + 1,
      f32: Math.fround(0.1),
      f64: 0.1,
      bool: true,
      string: 'naïve ☃ 😀',
      strings: ['a', '', 'ß'],
      integers: [1, -2, 3],
      floats: [0.5, -1.25],
      booleans: [true, false],
    });
  });

  it('is read as @huggingface/gguf reads it', async () => {
    const expected = await huggingFaceGguf(fixture('from-python.gguf'), { allowLocalFile: true });
    const { version, tensor_count, kv_count, ...metadata } = expected.metadata as Record<string, unknown>;
    const found = await openGguf(memorySource(bytes));
    expect([found.version, BigInt(found.tensors.size), BigInt(found.metadata.size)]).toEqual([
      version,
      tensor_count,
      kv_count,
    ]);
    const asNumber = (entry: unknown) =>
      typeof entry === 'bigint' && Number.isSafeInteger(Number(entry)) ? Number(entry) : entry;
    expect(Object.fromEntries(found.metadata)).toEqual(
      Object.fromEntries(Object.entries(metadata).map(([key, entry]) => [key, asNumber(entry)])),
    );
    expect(
      Array.from(found.tensors, ([name, { shape }]) => [name, [...shape].reverse().map(BigInt)]),
    ).toEqual(expected.tensorInfos.map(({ name, shape }) => [name, shape]));
  });

  it('has these tensors', async () => {
    const gguf = await openGguf(memorySource(bytes));
    expect(Object.fromEntries(gguf.tensors)).toEqual({
      matrix: { dtype: 'F32', shape: [3, 64], byteLength: 768 },
      half: { dtype: 'F16', shape: [5], byteLength: 10 },
      blocks: { dtype: 'Q8_0', shape: [2, 32], byteLength: 68 },
    });
    expect((await gguf.readFloat32('matrix')).length).toBe(192);
    expect((await gguf.readFloat32('half')).length).toBe(5);
    expect((await gguf.readFloat32('blocks')).length).toBe(64);
    await expect(gguf.readBytes('other')).rejects.toThrow(InvalidArgumentError);
  });

  it('is refused when it is cut anywhere', async () => {
    for (let length = 0; length < bytes.length - 64; length += 7) {
      await expect(openGguf(memorySource(bytes.slice(0, length))), `${length} bytes`).rejects.toThrow(
        MalformedFileError,
      );
    }
  });

  it('never makes the parser throw anything but its own errors', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(bytes.length - 1), fc.nat(255), async (position, byte) => {
        const changed = bytes.slice();
        changed[position] = byte;
        try {
          await openGguf(memorySource(changed));
        } catch (error) {
          if (!(error instanceof MalformedFileError || error instanceof UnsupportedError)) throw error;
        }
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a crafted file', () => {
  const f32Tensor = (name: string, elements: number | bigint, offset: number | bigint = 0) => ({
    name,
    dimensions: [elements],
    type: 0,
    offset,
  });

  it('may be of version 2, without anything in it', async () => {
    expect((await open({ version: 2 })).tensors.size).toBe(0);
  });

  it('may have a header that is longer than the first read', async () => {
    const key = 'general.long';
    const short = {
      metadata: [[key, value.string('')]],
      tensors: [f32Tensor('t', 1)],
      dataBytes: 4,
    } as const;
    // The long text goes in by hand: a list of five million bytes cannot be spread.
    const text = new TextEncoder().encode('x'.repeat(5_000_000));
    const lengthAt = 24 + 8 + key.length + 4;
    const tensorInfo = Uint8Array.from([...string('t'), ...u32(1), ...u64(1), ...u32(0), ...u64(0)]);
    const headerBytes = lengthAt + 8 + text.length + tensorInfo.length;
    const dataStart = Math.ceil(headerBytes / 32) * 32;
    const file = new Uint8Array(dataStart + 4);
    file.set(craftGguf(short).subarray(0, lengthAt));
    file.set(u64(text.length), lengthAt);
    file.set(text, lengthAt + 8);
    file.set(tensorInfo, lengthAt + 8 + text.length);
    new DataView(file.buffer).setFloat32(dataStart, 2.5, true);
    const gguf = await openGguf(memorySource(file));
    expect(gguf.metadata.get(key)).toHaveLength(text.length);
    expect(await gguf.readFloat32('t')).toEqual(Float32Array.of(2.5));
  });

  const huge = 2n ** 60n;
  it.each<[string, CraftedGguf]>([
    ['a giant number of tensors', { tensorCount: huge }],
    ['more tensors than the file can hold', { tensorCount: 1000 }],
    ['a giant number of metadata entries', { metadataCount: huge }],
    ['more metadata entries than the file can hold', { metadataCount: 1000 }],
    ['a giant string', { metadata: [['k', [8, u64(huge)]]] }],
    ['a string that is longer than the file', { metadata: [['k', [8, u64(1000)]]] }],
    ['a giant array', { metadata: [['k', [9, [...u32(0), ...u64(huge)]]]] }],
    ['an array that is longer than the file', { metadata: [['k', [9, [...u32(4), ...u64(1000)]]]] }],
    [
      'arrays of arrays of arrays',
      { metadata: [['k', [9, Array.from({ length: 9 }, () => [...u32(9), ...u64(1)]).flat()]]] },
    ],
    ['text that is not UTF-8', { metadata: [['k', [8, [...u64(1), 0xff]]]] }],
    ['an unknown value type', { metadata: [['k', [13, u64(0)]]] }],
    ['an array of an unknown value type', { metadata: [['k', [9, [...u32(77), ...u64(1), ...u64(0)]]]] }],
    ['a boolean of 2', { metadata: [['k', value.boolean(2)]] }],
    ['an empty key', { metadata: [['', value.u32(1)]] }],
    [
      'a key twice',
      {
        metadata: [
          ['k', value.u32(1)],
          ['k', value.u32(2)],
        ],
      },
    ],
    ['an alignment of 0', { metadata: [['general.alignment', value.u32(0)]] }],
    ['an alignment of 24', { metadata: [['general.alignment', value.u32(24)]] }],
    ['an alignment that is text', { metadata: [['general.alignment', value.string('32')]] }],
    ['a tensor twice', { tensors: [f32Tensor('t', 8), f32Tensor('t', 8, 32)], dataBytes: 64 }],
    ['a tensor name of 65 bytes', { tensors: [f32Tensor('t'.repeat(65), 8)], dataBytes: 32 }],
    [
      'five dimensions',
      { tensors: [{ name: 't', dimensions: [1, 1, 1, 1, 1], type: 0, offset: 0 }], dataBytes: 4 },
    ],
    ['a giant dimension', { tensors: [f32Tensor('t', huge)], dataBytes: 32 }],
    [
      'a product beyond 2^53',
      { tensors: [{ name: 't', dimensions: [2 ** 30, 2 ** 30], type: 0, offset: 0 }], dataBytes: 32 },
    ],
    [
      'a giant dimension of a tensor without elements',
      { tensors: [{ name: 't', dimensions: [huge, 0], type: 0, offset: 0 }], dataBytes: 32 },
    ],
    [
      'rows that are no whole blocks',
      { tensors: [{ name: 't', dimensions: [16, 2], type: 2, offset: 0 }], dataBytes: 18 },
    ],
    ['data behind the end of the file', { tensors: [f32Tensor('t', 9)], dataBytes: 32 }],
    ['a hole at the start', { tensors: [f32Tensor('t', 8, 32)], dataBytes: 64 }],
    ['a hole between tensors', { tensors: [f32Tensor('t', 8), f32Tensor('u', 8, 64)], dataBytes: 96 }],
    ['an overlap', { tensors: [f32Tensor('t', 8), f32Tensor('u', 8)], dataBytes: 64 }],
    ['an offset that is not aligned', { tensors: [f32Tensor('t', 1), f32Tensor('u', 8, 4)], dataBytes: 64 }],
    ['a giant offset', { tensors: [f32Tensor('t', 8, huge)], dataBytes: 32 }],
    ['version 0', { version: 0 }],
  ])('is refused: %s', async (_, crafted) => {
    await expect(open(crafted)).rejects.toThrow(MalformedFileError);
  });

  it('is refused when its arrays together have too many elements', async () => {
    // Three arrays of 2^22 bytes; lists of that length cannot be spread into a crafted file.
    const length = 2 ** 22;
    const header = (count: number) => [
      ...new TextEncoder().encode('GGUF'),
      ...u32(3),
      ...u64(0),
      ...u64(count),
    ];
    const entry = (key: string) => [...string(key), ...u32(9), ...u32(0), ...u64(length)];
    const bytesOf = (keys: readonly string[]) => {
      const file = new Uint8Array(24 + keys.length * (entry('a').length + length));
      file.set(header(keys.length));
      let at = 24;
      for (const key of keys) {
        file.set(entry(key), at);
        at += entry(key).length + length;
      }
      return memorySource(file);
    };
    expect((await openGguf(bytesOf(['a', 'b']))).metadata.get('b')).toHaveLength(length);
    await expect(openGguf(bytesOf(['a', 'b', 'c']))).rejects.toThrow(MalformedFileError);
  });

  it.each<[string, CraftedGguf, string]>([
    ['version 1', { version: 1 }, 'version 1'],
    ['version 4', { version: 4 }, 'version 4'],
    ['a big-endian file', { version: 0x03000000 }, 'big-endian'],
    [
      'a type of the future',
      { tensors: [{ name: 'blk.0.x', dimensions: [32], type: 99, offset: 0 }] },
      'tensor "blk.0.x": its type 99',
    ],
  ])('is not supported: %s', async (_, crafted, message) => {
    await expect(open(crafted)).rejects.toThrow(UnsupportedError);
    await expect(open(crafted)).rejects.toThrow(message);
  });

  it('opens with a type that has no dequantizer, whose values cannot be read', async () => {
    const gguf = await open({
      tensors: [{ name: 't', dimensions: [32], type: 9, offset: 0 }],
      dataBytes: 36,
    });
    expect(gguf.tensors.get('t')).toEqual({ dtype: 'Q8_1', shape: [32], byteLength: 36 });
    expect((await gguf.readBytes('t'))[35]).toBe(35);
    await expect(gguf.readFloat32('t')).rejects.toThrow('crafted.gguf, tensor "t": the GGUF type Q8_1');
  });

  it('is refused when it is something else', async () => {
    const text = new TextEncoder().encode('version https://git-lfs.github.com/spec/v1');
    await expect(openGguf(memorySource(text, 'pointer.gguf'))).rejects.toThrow(
      'pointer.gguf: the file begins with 0x',
    );
  });
});
