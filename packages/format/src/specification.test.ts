import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import vectors from '../conformance/vectors.json' with { type: 'json' };
import { bitsPerWeight, denseBytes } from './number-format.js';
import { numberFormats } from './number-formats.js';
import {
  parseSafetensorsHeader,
  safetensorsDataStart,
  serializeSafetensorsHeader,
} from './safetensors-header.js';
import { scaleEncodings } from './scale-encoding.js';

const specification = readFileSync(new URL('../SPEC.md', import.meta.url), 'utf8');
const vectorFile = new Uint8Array(
  readFileSync(new URL('../conformance/vectors.safetensors', import.meta.url)),
);

describe('SPEC.md', () => {
  test.each(numberFormats)('appendix B has $name with its rate and bytes', (format) => {
    const { name, privateBits, sharedBits, groupSize, levelTable, zeroPoint, scaleEncoding } = format;
    const cells = [
      ...[`\`${name}\``, privateBits, sharedBits, sharedBits > 0 ? format.sharingBlock : '', groupSize],
      ...[levelTable.name, zeroPoint ? 'yes' : '', scaleEncoding],
      Number(bitsPerWeight(format, 4096, 4096).toFixed(7)),
      denseBytes(format, 4096, 4096).toLocaleString('en-US'),
    ];
    const row = specification.split('\n').find((line) => line.startsWith(`| \`${name}\` |`));
    expect(row).toBe(`| ${cells.join(' | ')} |`);
  });

  const isByRule = /^(linear|integer|unsigned|spaced)-/;
  const tables = new Set(numberFormats.map(({ levelTable }) => levelTable));
  test.each([...tables].filter(({ name }) => !isByRule.test(name)))(
    'appendix A has the table $name',
    ({ name, centre, levels }) => {
      const [, listed = ''] = specification.split(`\`${name}\`, centre ${centre}:\n\n`);
      expect(listed.split('\n\n')[0]!.split(',').map(Number)).toEqual(levels);
    },
  );

  test.each(Object.values(scaleEncodings))('section 6 has the scale encoding $name', ({ name, dtype }) => {
    expect(specification).toMatch(new RegExp(`\\| \`${name}\` \\| ${dtype} \\|`));
  });
});

describe('conformance/vectors.safetensors', () => {
  const place = { file: 'vectors.safetensors', fileSize: vectorFile.length };
  const dataStart = safetensorsDataStart(vectorFile.subarray(0, 8), place);
  const header = parseSafetensorsHeader(vectorFile.subarray(0, dataStart), place);

  test('holds the tensors of vectors.json', () => {
    const listed = vectors.cases.flatMap(({ module, tensors }) =>
      tensors.map(({ suffix, dtype, shape, hex }) => ({ name: `${module}.${suffix}`, dtype, shape, hex })),
    );
    expect([...header.tensors.keys()].sort()).toEqual(listed.map(({ name }) => name).sort());
    for (const { name, dtype, shape, hex } of listed) {
      const tensor = header.tensors.get(name)!;
      expect({ dtype: tensor.dtype, shape: tensor.shape }).toEqual({ dtype, shape });
      const bytes = vectorFile.subarray(header.dataStart + tensor.begin, header.dataStart + tensor.end);
      expect(Buffer.from(bytes).toString('hex')).toBe(hex);
    }
  });

  test('is laid out as this package writes files', () => {
    const specs = [...header.tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
    const { bytes, fileSize } = serializeSafetensorsHeader(specs);
    expect(vectorFile.length).toBe(fileSize);
    expect(vectorFile.subarray(0, bytes.length)).toEqual(bytes);
  });
});
