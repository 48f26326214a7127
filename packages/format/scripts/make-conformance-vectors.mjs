// Writes conformance/vectors.json and conformance/vectors.safetensors.
//
//   pnpm build && node packages/format/scripts/make-conformance-vectors.mjs
//
// Deterministic. The vectors are this package's own output; what makes them evidence is conformance/read_lbs.py, a reader
// that was written from SPEC.md alone and that must get every output bit from the stored bytes and every stored code back, and
// must refuse what `refused` lists.

import { writeFileSync } from 'node:fs';
import {
  defineNumberFormat,
  dequantize,
  float16NotBelow,
  formatVersion,
  lbs3,
  lbs4,
  linearLevelTable,
  mxfp4,
  numberFormats,
  numberFromFloat16,
  nvfp4,
  packCodes,
  packSharedCodes,
  partSizes,
  rowLayout,
  scaleEncodingOf,
  scaleEncodings,
  serializeQuantizationConfig,
  serializeSafetensorsHeader,
  storedSuffixes,
  storeMatrix,
  unsignedLevelTable,
  writeScaleCode,
} from '../dist/index.js';

const folder = new URL('../conformance/', import.meta.url);
const hex = (bytes) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex');

/** Numbers in [0, 1) that a seed fixes (mulberry32). */
function createRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/**
 * One matrix. Its codes, scales (as numbers, rounded to what can be stored) and zero-points are random unless
 * `privateCode`, `sharedCode`, `scale` and `zeroPoint` say otherwise.
 */
function makeCase(about, format, rows, columns, options = {}) {
  const random = createRandom(1000 * rows + columns);
  const below = (limit) => Math.floor(random() * limit);
  const { privateBits, sharedBits } = format;
  const privateCode = options.privateCode ?? (() => below(2 ** privateBits));
  const sharedCode = options.sharedCode ?? (() => below(2 ** sharedBits));
  const scale = options.scale ?? (() => 0.001 + random());
  const zeroPoint = options.zeroPoint ?? (() => below(2 ** (privateBits + sharedBits)));
  const layout = rowLayout(format, columns);
  const sizes = partSizes(format, rows, columns);
  const privateCodes = Uint8Array.from({ length: rows * columns }, (_, i) => privateCode(i));
  const sharedCodes = Uint8Array.from({ length: rows * layout.blocks }, (_, i) => sharedCode(i));
  const packed = new Uint8Array(sizes.packed);
  const shared = new Uint8Array(sizes.shared);
  for (let r = 0; r < rows; r++) {
    const codes = privateCodes.subarray(r * columns, (r + 1) * columns);
    packCodes(codes, privateBits, packed, r * layout.packedBytes);
    const blocks = sharedCodes.subarray(r * layout.blocks, (r + 1) * layout.blocks);
    packSharedCodes(blocks, sharedBits, shared, r * layout.sharedBytes);
  }
  const encoding = scaleEncodingOf(format);
  const { base } = encoding;
  const scales = new Uint8Array(sizes.scales);
  const scaleBases = new Uint8Array(sizes.scaleBases);
  const baseCode = base?.choose(options.largestScale ?? 1) ?? 0;
  const baseValue = base ? base.encoding.decode(baseCode, 1) : 1;
  const bases = base ? sizes.scaleBases / base.encoding.bytes : 0;
  for (let i = 0; i < bases; i++) writeScaleCode(scaleBases, base.encoding.bytes, i, baseCode);
  for (let i = 0; i < rows * layout.groups; i++) {
    const code = options.scaleCode?.(i) ?? encoding.nearest(scale(i), baseValue);
    writeScaleCode(scales, encoding.bytes, i, code);
  }
  const zeroPoints = Uint8Array.from({ length: sizes.zeroPoints }, (_, i) => zeroPoint(i));
  const matrix = {
    ...{ format, rows, columns, packed, shared, scales, scaleBases },
    ...(format.zeroPoint && { zeroPoints }),
    ...(options.salient && { salient: options.salient(random) }),
  };
  return { about, matrix, privateCodes, sharedCodes };
}

/** Salient weights in the given columns of each row, with the storable scales nearest to `sigma(row)`. */
function salientAt(columnsOfRows, sigma = () => 0.01) {
  return (random) => {
    const columns = Uint32Array.from(columnsOfRows.flat());
    const ideal = columnsOfRows.map((row, r) => (row.length > 0 ? sigma(r) : 0));
    const { log8 } = scaleEncodings;
    const base = numberFromFloat16(float16NotBelow(Math.max(...ideal)));
    return {
      counts: Uint32Array.from(columnsOfRows, (row) => row.length),
      columns,
      residuals: Int8Array.from(columns, () => Math.floor(random() * 256) - 128),
      scales: Float32Array.from(ideal, (scale) => log8.decode(log8.nearest(scale, base), base)),
    };
  };
}

/** Where the columns of rows are from positions of the whole matrix. */
const rowsOf = (positions, rows, columns) =>
  Array.from({ length: rows }, (_, r) =>
    positions
      .filter((position) => Math.floor(position / columns) === r)
      .map((position) => position % columns),
  );

const all = (count) => Array.from({ length: count }, (_, i) => i);
const define = (name, privateBits, groupSize, more) =>
  defineNumberFormat({ name, privateBits, groupSize, ...more });
const named = (name) => numberFormats.find((format) => format.name === name);

const cases = [
  ...numberFormats.map((format) => makeCase('last group and last unit short', format, 2, 80)),
  ...Object.keys(scaleEncodings).map((scaleEncoding) =>
    makeCase(`${scaleEncoding} scales`, define(scaleEncoding, 2, 16, { scaleEncoding }), 2, 60, {
      scale: (i) => 1.1 ** -i,
    }),
  ),
  makeCase('every log8 code', define('log8', 1, 16, { scaleEncoding: 'log8' }), 256, 1, {
    scaleCode: (i) => i,
    privateCode: () => 1,
  }),
  makeCase('finite e4m3 codes', define('e4m3', 1, 16, { scaleEncoding: 'e4m3' }), 254, 1, {
    scaleCode: (i) => (i < 127 ? i : i + 1),
    privateCode: () => 1,
  }),
  makeCase('finite e8m0 codes', define('e8m0', 1, 16, { scaleEncoding: 'e8m0' }), 255, 1, {
    scaleCode: (i) => i,
    privateCode: () => 1,
  }),
  makeCase('subnormal binary16 scales', named('int4-g64'), 2, 80, { scale: (i) => (i + 1) * 2 ** -24 }),
  makeCase('subnormal bases', lbs3, 2, 80, { largestScale: 3 * 2 ** -24, scale: () => 2 ** -24 }),
  makeCase('subnormal float32 scales', define('f32', 3, 16, { scaleEncoding: 'float32' }), 1, 40, {
    scale: (i) => (i + 1) * 2 ** -148,
  }),
  makeCase('products beyond float32', define('f32', 3, 16, { scaleEncoding: 'float32' }), 1, 40, {
    scale: () => 3e38,
  }),
  makeCase('the smallest power of two, levels below it', mxfp4, 1, 40, { scale: () => 0 }),
  makeCase('a scale that is zero', nvfp4, 1, 40, { scale: (i) => i % 2 }),
  makeCase('all-zero groups', lbs4, 2, 128, { scale: (i) => (i % 2 === 0 ? 0 : 1) }),
  makeCase('all-zero groups', named('int4-g64'), 2, 128, { scale: (i) => i % 2 }),
  ...[named('int3-g64'), lbs4, named('int5-zp-g64'), nvfp4].map((format) =>
    makeCase('a single weight', format, 1, 1),
  ),
  makeCase('all codes', named('int8-g64'), 1, 256, { privateCode: (i) => i }),
  makeCase('all codes', named('int7-zp-g64'), 1, 128, { privateCode: (i) => i }),
  makeCase('all codes', lbs4, 1, 64, { privateCode: (i) => i % 16, sharedCode: (i) => i >> 1 }),
  makeCase(
    'all codes, shared codes across bytes',
    define('g3', 2, 48, { sharedBits: 3, sharingBlock: 3 }),
    3,
    50,
    {
      privateCode: (i) => i % 4,
      sharedCode: (i) => i % 8,
    },
  ),
  makeCase('one block a weight', define('g1', 3, 16, { sharedBits: 4, sharingBlock: 1 }), 1, 33),
  makeCase('widest code', define('b7', 7, 32, { sharedBits: 1, sharingBlock: 32 }), 2, 70),
  makeCase(
    'centre off, levels repeat',
    {
      ...define('own', 2, 32, {
        sharedBits: 1,
        sharingBlock: 8,
        levelTable: { name: 'own', levels: [0, 7, 7, 30, 40, 41, 200, 255], centre: 30.5 },
      }),
    },
    2,
    70,
  ),
  makeCase('extreme zero-points', named('int4-zp-g64'), 2, 128, { zeroPoint: (i) => (i % 2) * 255 }),
  makeCase(
    'zero-points and shared bits',
    define('zp', 3, 32, {
      sharedBits: 1,
      sharingBlock: 8,
      levelTable: unsignedLevelTable(4),
      zeroPoint: true,
      scaleEncoding: 'log8',
    }),
    2,
    70,
  ),
  makeCase('one row of a long group', define('long', 1, 65536, { levelTable: linearLevelTable(1) }), 1, 200),
  makeCase('salient: some rows, the first and last weight', lbs3, 3, 70, {
    salient: salientAt([[0, 69], [], [7, 69]], (r) => 0.01 * (r + 1)),
  }),
  makeCase('salient: gaps of 254, 255, 256, 511, 512 and 767, 8 low bits', named('int4-g64'), 26, 100, {
    salient: salientAt(rowsOf([254, 510, 767, 1279, 1792, 2560], 26, 100), (r) => 0.02 / (r + 1)),
  }),
  makeCase('salient: a gap of 2599, 11 low bits', named('int4-g64'), 26, 100, {
    salient: salientAt(rowsOf([2599], 26, 100)),
  }),
  makeCase('salient: long and short gaps, 3 low bits', named('int4-g64'), 5, 100, {
    salient: salientAt(rowsOf([...all(30), 499], 5, 100), (r) => 0.5 ** r),
  }),
  makeCase('salient: a subnormal base', named('int4-g64'), 2, 300, {
    salient: salientAt([[0, 255, 256, 299], [3]], (r) => (5 - 2.6 * r) * 2 ** -24),
  }),
  makeCase('salient: every code of sigma', named('int2-g64'), 256, 1, {
    salient: salientAt(
      all(256).map(() => [0]),
      (r) => (r === 255 ? 0 : 0.7 * 2 ** (-r / 32)),
    ),
  }),
  makeCase('salient: sigma 0 alone', named('int2-g64'), 1, 20, { salient: salientAt([[5]], () => 0) }),
  makeCase('salient: all of them, no low bits', lbs4, 2, 20, {
    salient: salientAt([all(20), all(20)], (r) => 0.5 + r),
  }),
  makeCase('salient: K = 0', lbs4, 2, 20, { salient: salientAt([[], []]) }),
  makeCase('salient beside zero-points', named('int3-zp-g64'), 2, 70, { salient: salientAt([[3], [4, 68]]) }),
];

const stored = cases.map(({ matrix }, i) => storeMatrix(`case_${i}`, matrix));

const declaration = (format) =>
  serializeQuantizationConfig({ groups: [{ targets: [], format }], provenance: {} }).config_groups.group_0
    .weights;

const listed = (tensors, module) =>
  tensors.map(({ name, dtype, shape, bytes }) => ({
    ...{ suffix: name.slice(module.length + 1), dtype, shape },
    hex: hex(bytes),
  }));

const lines = cases.map(({ about, matrix, privateCodes, sharedCodes }, i) =>
  JSON.stringify({
    module: `case_${i}`,
    about,
    weights: declaration(matrix.format),
    shape: [matrix.rows, matrix.columns],
    private_codes: hex(privateCodes),
    shared_codes: hex(sharedCodes),
    tensors: listed(stored[i], `case_${i}`),
    output: hex(dequantize(matrix)),
  }),
);

/** Salient weights that a reader refuses: a good matrix with other bytes in some tensors, or without them (null). */
const refusals = [
  ['no positions', { salientGaps: [], salientResiduals: [], salientScales: [], salientScaleBase: [0, 0] }],
  ['a list of positions that is too short', { salientGaps: [0x8a, 0xc6] }],
  ['a byte behind the last position', { salientGaps: [0x8a, 0xc6, 0x3c, 0x00] }],
  ['a bit behind the last position', { salientGaps: [0x8a, 0xc6, 0xbc] }],
  ['a position behind the matrix', { salientGaps: [0x8a, 0xc6, 0x07, 0x00] }],
  ['more residuals than positions', { salientResiduals: [1, 2, 3, 4] }],
  ['fewer rows with positions than codes of sigma', { salientGaps: [0x0a, 0x00, 0x00] }],
  ['a base above the largest sigma', { salientScales: [1, 32] }],
  ['a base that is infinite', { salientScaleBase: [0x00, 0x7c] }],
  ['a base that is not a number', { salientScaleBase: [0x00, 0x7e] }],
  ['a base that is negative', { salientScaleBase: [0x00, 0xbc] }],
  ['a code of sigma 0 that is not 255', { salientScales: [0, 255], salientScaleBase: [0, 0] }],
  ...['salientGaps', 'salientResiduals', 'salientScales', 'salientScaleBase'].map((part) => [
    `no ${storedSuffixes[part]}`,
    { [part]: null },
  ]),
].map(([about, changes]) => {
  const { matrix } = makeCase(about, named('int4-g64'), 2, 150, {
    salient: salientAt([[5, 105], [50]], (r) => 1 / (r + 1)),
  });
  const tensors = storeMatrix('refused', matrix).flatMap((tensor) => {
    const part = Object.keys(changes).find((key) => tensor.name === `refused.${storedSuffixes[key]}`);
    if (!part) return [tensor];
    if (changes[part] === null) return [];
    const bytes = Uint8Array.from(changes[part]);
    return [{ ...tensor, bytes, ...(tensor.dtype !== 'F16' && { shape: [bytes.length] }) }];
  });
  return JSON.stringify({
    ...{ module: 'refused', about, weights: declaration(matrix.format) },
    tensors: listed(tensors, 'refused'),
  });
});
writeFileSync(
  new URL('vectors.json', folder),
  `{"format_version":"${formatVersion}","cases":[\n${lines.join(',\n')}\n],"refused":[\n${refusals.join(',\n')}\n]}\n`,
);

const tensors = new Map(stored.flat().map((tensor) => [tensor.name, tensor]));
const header = serializeSafetensorsHeader([...tensors.values()]);
const file = Buffer.alloc(header.fileSize);
file.set(header.bytes);
for (const { name, begin } of header.order) file.set(tensors.get(name).bytes, header.bytes.length + begin);
writeFileSync(new URL('vectors.safetensors', folder), file);
