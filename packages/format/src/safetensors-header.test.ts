import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { InvalidArgumentError, MalformedFileError, UnsupportedError } from './errors.js';
import {
  parseSafetensorsHeader,
  type SafetensorsDtype,
  safetensorsByteLength,
  safetensorsDataStart,
  safetensorsDtypes,
  serializeSafetensorsHeader,
} from './safetensors-header.js';

/** A file with this header text, byte for byte, and so many bytes of data. */
function craft(header: string | Uint8Array, dataBytes = 0, length?: bigint) {
  const json = typeof header === 'string' ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return { bytes, place: { file: 'crafted.safetensors', fileSize: bytes.length + dataBytes } };
}

function parse(header: string | Uint8Array, dataBytes = 0, length?: bigint) {
  const { bytes, place } = craft(header, dataBytes, length);
  return parseSafetensorsHeader(bytes, place);
}

const entry = (dtype: string, shape: unknown, offsets: unknown) =>
  JSON.stringify({ dtype, shape, data_offsets: offsets });

describe('a well-formed header', () => {
  it('may have no tensors', () => {
    expect(parse('{}').tensors.size).toBe(0);
    expect(parse('{}').dataStart).toBe(10);
  });

  it('gives tensors in the order of their data, and metadata', () => {
    const header = parse(
      `{"__metadata__":{"format":"pt"},"b":${entry('F32', [2, 3], [4, 28])},"a":${entry('F16', [2], [0, 4])}}`,
      28,
    );
    expect([...header.tensors]).toEqual([
      ['a', { dtype: 'F16', shape: [2], begin: 0, end: 4 }],
      ['b', { dtype: 'F32', shape: [2, 3], begin: 4, end: 28 }],
    ]);
    expect([...header.metadata]).toEqual([['format', 'pt']]);
  });

  it.each([
    ['trailing spaces', '{}      ', 0, 0],
    ['a scalar', `{"x":${entry('F32', [], [0, 4])}}`, 4, 1],
    ['an empty tensor', `{"x":${entry('F32', [2, 0], [0, 0])}}`, 0, 1],
    [
      'an empty tensor between others',
      `{"x":${entry('U8', [1], [0, 1])},"y":${entry('F32', [0], [1, 1])},"z":${entry('U8', [1], [1, 2])}}`,
      2,
      3,
    ],
    ['two 4-bit elements', `{"x":${entry('F4', [2], [0, 1])}}`, 1, 1],
    [
      'keys that objects have by themselves',
      `{"__proto__":${entry('U8', [1], [0, 1])},"constructor":${entry('U8', [1], [1, 2])}}`,
      2,
      2,
    ],
    [
      'braces, colons and quotes inside strings',
      `{"__metadata__":{"a\\"}:{":"1.5e3 -1"},"x":${entry('U8', [1], [0, 1])}}`,
      1,
      1,
    ],
  ])('may have %s', (_, header, dataBytes, count) => {
    expect(parse(header, dataBytes).tensors.size).toBe(count);
  });

  it('keeps the key __proto__ as a tensor and as metadata', () => {
    const header = parse(`{"__metadata__":{"__proto__":"x"},"__proto__":${entry('U8', [1], [0, 1])}}`, 1);
    expect(header.tensors.get('__proto__')?.end).toBe(1);
    expect(header.metadata.get('__proto__')).toBe('x');
  });
});

describe('a malformed header', () => {
  const x = entry('U8', [1], [0, 1]);
  it.each<[string, string | Uint8Array, number?, bigint?]>([
    ['a length beyond the file', '{}', 0, 1000n],
    ['a length beyond the limit', '{}', 0, 100_000_001n],
    ['a length beyond 2^53', '{}', 0, 0xffff_ffff_ffff_ffffn],
    ['a length that cuts the JSON', `{"x":${x}}`, 1, 4n],
    ['bytes that are not UTF-8', Uint8Array.of(0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d)],
    ['a byte order mark', Uint8Array.of(0xef, 0xbb, 0xbf, 0x7b, 0x7d)],
    ['leading white space', ' {}'],
    ['another JSON value', '[]'],
    ['something that is not JSON', '{hello}'],
    ['NaN', `{"x":{"dtype":"U8","shape":[NaN],"data_offsets":[0,1]}}`, 1],
    ['a tensor name twice', `{"x":${x},"x":${x}}`, 1],
    ['a tensor name twice, once escaped', `{"x":${x},"\\u0078":${x}}`, 1],
    ['a metadata key twice', `{"__metadata__":{"a":"1","a":"2"}}`],
    ['an entry key twice', `{"x":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}}`, 1],
    ['metadata that is not an object', `{"__metadata__":["a"]}`],
    ['metadata that is not text', `{"__metadata__":{"a":1}}`],
    ['an entry that is not an object', '{"x":[1]}'],
    ['no dtype', '{"x":{"shape":[1],"data_offsets":[0,1]}}', 1],
    ['a dtype that is not text', '{"x":{"dtype":8,"shape":[1],"data_offsets":[0,1]}}', 1],
    ['no shape', '{"x":{"dtype":"U8","data_offsets":[0,1]}}', 1],
    ['a negative dimension', `{"x":${entry('U8', [-1], [0, 1])}}`, 1],
    ['a fractional dimension', `{"x":${entry('U8', [0.5], [0, 1])}}`, 1],
    ['a dimension written as a float', '{"x":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}', 1],
    ['a dimension written with an exponent', '{"x":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}', 1],
    ['an infinite dimension', '{"x":{"dtype":"U8","shape":[1e999],"data_offsets":[0,1]}}', 1],
    ['a dimension of null', '{"x":{"dtype":"U8","shape":[null],"data_offsets":[0,1]}}', 1],
    ['a dimension beyond 2^53', '{"x":{"dtype":"U8","shape":[9007199254740993],"data_offsets":[0,1]}}', 1],
    ['a product beyond 2^53', `{"x":${entry('U8', [4294967296, 4294967296, 0], [0, 0])}}`, 0],
    ['elements that end inside a byte', `{"x":${entry('F4', [3], [0, 2])}}`, 2],
    ['lists that are nested deep', `{"x":${'['.repeat(1e5)}${']'.repeat(1e5)}}`],
    ['objects that are nested deep', `{"x":${'{"a":'.repeat(1e5)}0${'}'.repeat(1e5)}}`],
    [
      'a shape that is nested deep',
      `{"x":${entry('U8', 0, [0, 1]).replace('0', '['.repeat(1e5) + ']'.repeat(1e5))}}`,
      1,
    ],
    ['one offset', `{"x":${entry('U8', [1], [0])}}`, 1],
    ['three offsets', `{"x":${entry('U8', [1], [0, 1, 2])}}`, 1],
    ['offsets in the wrong order', `{"x":${entry('U8', [1], [1, 0])}}`, 1],
    ['offsets that do not fit the shape', `{"x":${entry('F32', [2], [0, 4])}}`, 4],
    ['a hole at the start', `{"x":${entry('U8', [1], [1, 2])}}`, 2],
    ['a hole between tensors', `{"x":${x},"y":${entry('U8', [1], [2, 3])}}`, 3],
    ['an overlap', `{"x":${entry('U8', [2], [0, 2])},"y":${entry('U8', [2], [1, 3])}}`, 3],
    [
      'tensors that share their bytes',
      `{${Array.from({ length: 1000 }, (_, i) => `"t${i}":${entry('U8', [100], [0, 100])}`)}}`,
      100,
    ],
    ['data that is missing', `{"x":${x}}`, 0],
    ['data that no tensor has', `{"x":${x}}`, 2],
  ])('is refused: %s', (_, header, dataBytes, length) => {
    expect(() => parse(header, dataBytes, length)).toThrow(MalformedFileError);
  });

  it('is refused: a file that is too small', () => {
    for (const size of [0, 7, 9]) {
      expect(() => safetensorsDataStart(new Uint8Array(size), { file: 'f', fileSize: size })).toThrow(
        MalformedFileError,
      );
    }
  });

  it('is told apart from a dtype of the future', () => {
    expect(() => parse(`{"x":${entry('F128', [1], [0, 16])}}`, 16)).toThrow(UnsupportedError);
  });

  it('names file, tensor, values and mend', () => {
    expect(() => parse(`{"layer.weight":${entry('F32', [2], [0, 4])}}`, 4)).toThrow(
      'crafted.safetensors, tensor "layer.weight": data_offsets [0, 4] hold 4 bytes, but shape [2] of F32 has 8. Write the file again with a conforming writer.',
    );
    expect(() => parse(`{"a":${x},"a":${x}}`, 1)).toThrow('the header has the key "a" twice');
    expect(() => parse('{"x":{"dtype":"U8","shape":[-12.5],"data_offsets":[0,1]}}', 1)).toThrow(
      'the number -12.5',
    );
  });

  it('never makes the parser throw anything else', () => {
    const text = `{"__metadata__":{"k":"v"},"a":${entry('F32', [2, 1], [0, 8])},"b":${entry('F4', [2], [8, 9])}}`;
    const original = new TextEncoder().encode(text);
    fc.assert(
      fc.property(fc.nat(original.length - 1), fc.nat(255), (position, byte) => {
        const bytes = original.slice();
        bytes[position] = byte;
        try {
          parse(bytes, 9);
        } catch (error) {
          if (!(error instanceof MalformedFileError || error instanceof UnsupportedError)) throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe('serializeSafetensorsHeader', () => {
  const tensor = fc.record({
    name: fc.string({ unit: 'binary', maxLength: 12 }).filter((name) => name !== '__metadata__'),
    dtype: fc.constantFrom(...safetensorsDtypes),
    shape: fc.array(fc.nat(6), { maxLength: 4 }),
  });
  const tensors = fc
    .uniqueArray(tensor, { selector: ({ name }) => name, maxLength: 12 })
    .map((list) => list.filter(({ dtype, shape }) => safetensorsByteLength(dtype, shape) !== undefined));

  it('gives what parseSafetensorsHeader reads back', () => {
    fc.assert(
      fc.property(tensors, fc.dictionary(fc.string(), fc.string()), (list, metadata) => {
        const { bytes, order, fileSize } = serializeSafetensorsHeader(list, metadata);
        const header = parseSafetensorsHeader(bytes, { file: 'f', fileSize });
        expect(header.dataStart).toBe(bytes.length);
        expect(Object.fromEntries(header.metadata)).toEqual({ ...metadata });
        expect(header.tensors.size).toBe(list.length);
        for (const { name, ...expected } of order) expect(header.tensors.get(name)).toEqual(expected);
      }),
    );
  });

  it('aligns the data section to 64 bytes and every tensor to its element', () => {
    const whole: SafetensorsDtype[] = ['U8', 'F32', 'BF16', 'F64', 'I8', 'F16'];
    const list = whole.map((dtype, i) => ({ name: `t${i}`, dtype, shape: [3, 1] }));
    const { bytes, order } = serializeSafetensorsHeader(list);
    expect(bytes.length % 64).toBe(0);
    for (const { dtype, begin } of order) expect(begin % safetensorsByteLength(dtype, [1])!).toBe(0);
    expect(order.map(({ dtype }) => dtype)).toEqual(['F64', 'F32', 'BF16', 'F16', 'I8', 'U8']);
  });

  it('aligns every tensor whose size is a multiple of 64 bytes to 64 bytes', () => {
    fc.assert(
      fc.property(tensors, fc.array(fc.integer({ min: 1, max: 3 }), { maxLength: 4 }), (list, units) => {
        const whole = units.map((unit, i) => ({
          name: `whole tensor ${i}`,
          dtype: safetensorsDtypes[(3 * i + unit) % safetensorsDtypes.length]!,
          shape: [unit, 128],
        }));
        const { bytes, order } = serializeSafetensorsHeader([...list, ...whole]);
        for (const { dtype, begin, end } of order) {
          if (end > begin && (end - begin) % 64 === 0) expect((bytes.length + begin) % 64).toBe(0);
          const elementBytes = safetensorsByteLength(dtype, [1]);
          if (elementBytes !== undefined) expect(begin % elementBytes).toBe(0);
        }
      }),
    );
  });

  it('writes these bytes', () => {
    const { bytes, fileSize } = serializeSafetensorsHeader([{ name: 'w', dtype: 'F32', shape: [1, 2] }], {
      format: 'pt',
    });
    const json = '{"__metadata__":{"format":"pt"},"w":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]}}';
    expect(new TextDecoder().decode(bytes)).toBe(`x${'\0'.repeat(7)}${json.padEnd(120)}`);
    expect(fileSize).toBe(136);
  });

  it.each([
    [
      'a name twice',
      [
        { name: 'a', dtype: 'U8', shape: [1] },
        { name: 'a', dtype: 'F32', shape: [1] },
      ],
    ],
    ['the reserved name', [{ name: '__metadata__', dtype: 'U8', shape: [1] }]],
    ['a negative size', [{ name: 'a', dtype: 'U8', shape: [-1] }]],
    ['half a byte', [{ name: 'a', dtype: 'F4', shape: [1] }]],
  ] as const)('refuses %s', (_, list) => {
    expect(() => serializeSafetensorsHeader(list)).toThrow(InvalidArgumentError);
  });
});
