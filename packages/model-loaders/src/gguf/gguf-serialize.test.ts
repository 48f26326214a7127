import { InvalidArgumentError } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import { memorySource } from '../fixtures/memory-source.js';
import { openGguf } from './gguf.js';
import { type GgufTensorSpec, serializeGgufHeader } from './gguf-serialize.js';
import { type GgufTypedValue, typed } from './gguf-typed-value.js';

function fileOf(metadata: Record<string, GgufTypedValue>, tensors: readonly GgufTensorSpec[]) {
  const { bytes, ranges, fileSize } = serializeGgufHeader(new Map(Object.entries(metadata)), tensors);
  const file = new Uint8Array(fileSize);
  file.set(bytes);
  for (const [i, { begin, end }] of ranges.entries()) file.fill(i + 1, begin, end);
  return file;
}

describe('a header', () => {
  it('is read as it was written', async () => {
    const file = fileOf(
      {
        u8: { type: 'uint8', value: 255 },
        i8: { type: 'int8', value: -128 },
        u16: { type: 'uint16', value: 65_535 },
        i16: { type: 'int16', value: -32_768 },
        u32: typed.uint32(2 ** 32 - 1),
        i32: { type: 'int32', value: -(2 ** 31) },
        u64: { type: 'uint64', value: 2n ** 64n - 1n },
        i64: { type: 'int64', value: -5 },
        f32: typed.float32(0.1),
        f64: { type: 'float64', value: 0.1 },
        yes: typed.bool(true),
        text: typed.string('naïve ☃ 😀'),
        strings: typed.strings(['', 'ß', 'x'.repeat(10_000)]),
        integers: typed.int32s([1, -2]),
        floats: typed.float32s([0.5]),
        none: typed.strings([]),
        flags: { type: 'array', of: 'bool', values: [true, false] },
      },
      [
        { name: 'matrix', type: 'F32', shape: [2, 3] },
        { name: 'blocks', type: 'Q4_0', shape: [3, 64] },
        { name: 'scalar', type: 'F16', shape: [] },
        { name: 'nothing', type: 'F32', shape: [0, 5] },
        { name: 'last', type: 'I8', shape: [5] },
      ],
    );
    expect(file.length % 32).toBe(0);
    const gguf = await openGguf(memorySource(file));
    expect(gguf.version).toBe(3);
    expect(Object.fromEntries(gguf.metadata)).toEqual({
      u8: 255,
      i8: -128,
      u16: 65_535,
      i16: -32_768,
      u32: 2 ** 32 - 1,
      i32: -(2 ** 31),
      u64: 2n ** 64n - 1n,
      i64: -5,
      f32: Math.fround(0.1),
      f64: 0.1,
      yes: true,
      text: 'naïve ☃ 😀',
      strings: ['', 'ß', 'x'.repeat(10_000)],
      integers: [1, -2],
      floats: [0.5],
      none: [],
      flags: [true, false],
    });
    expect([...gguf.tensors]).toEqual([
      ['matrix', { dtype: 'F32', shape: [2, 3], byteLength: 24 }],
      ['blocks', { dtype: 'Q4_0', shape: [3, 64], byteLength: 108 }],
      ['scalar', { dtype: 'F16', shape: [], byteLength: 2 }],
      ['nothing', { dtype: 'F32', shape: [0, 5], byteLength: 0 }],
      ['last', { dtype: 'I8', shape: [5], byteLength: 5 }],
    ]);
    for (const [i, name] of [...gguf.tensors.keys()].entries()) {
      expect(new Set(await gguf.readBytes(name))).toEqual(new Set(name === 'nothing' ? [] : [i + 1]));
    }
  });

  it('aligns the data as the metadata say', () => {
    const metadata = new Map([['general.alignment', typed.uint32(256)]]);
    const tensors = ['a', 'b'].map((name) => ({ name, type: 'I8', shape: [1] }));
    const { bytes, ranges, fileSize } = serializeGgufHeader(metadata, tensors);
    expect(bytes).toHaveLength(256);
    expect(ranges).toEqual([
      { begin: 256, end: 257 },
      { begin: 512, end: 513 },
    ]);
    expect(fileSize).toBe(768);
  });

  const tensor = (change: Partial<GgufTensorSpec>) => [{ name: 't', type: 'F32', shape: [1], ...change }];
  it.each<[string, Record<string, GgufTypedValue>, readonly GgufTensorSpec[]]>([
    ['an empty key', { '': typed.uint32(1) }, []],
    ['a number that its type does not hold', { a: typed.uint32(-1) }, []],
    ['a number that is too large', { a: { type: 'uint64', value: 2n ** 64n } }, []],
    ['a fraction as an integer', { a: typed.uint32(0.5) }, []],
    ['a text as a number', { a: { type: 'uint32', value: '1' } }, []],
    ['a number as a text', { a: { type: 'string', value: 1 } }, []],
    ['a number as a truth value', { a: { type: 'bool', value: 1 } }, []],
    ['half a surrogate pair', { a: typed.string('\ud800') }, []],
    ['an alignment of 24', { 'general.alignment': typed.uint32(24) }, []],
    ['an alignment of another type', { 'general.alignment': { type: 'uint64', value: 32 } }, []],
    ['an unknown type', {}, tensor({ type: 'Q3_0' })],
    ['rows that are no whole blocks', {}, tensor({ type: 'Q8_0', shape: [32, 16] })],
    ['five dimensions', {}, tensor({ shape: [1, 1, 1, 1, 1] })],
    ['half a dimension', {}, tensor({ shape: [0.5] })],
    ['a product beyond 2^53', {}, tensor({ shape: [2 ** 30, 2 ** 30] })],
    ['a name of 64 bytes', {}, tensor({ name: 'ß'.repeat(32) })],
    ['a tensor without a name', {}, tensor({ name: '' })],
    ['a tensor twice', {}, [...tensor({}), ...tensor({})]],
  ])('is refused with %s', (_, metadata, tensors) => {
    expect(() => fileOf(metadata, tensors)).toThrow(InvalidArgumentError);
  });
});
