import { expect, test } from 'vitest';
import { entryPoints, lineDifference, undocumentedExports } from './api-reports.mjs';
import { commandNames } from './command-report.mjs';

test('every entry point with types has a report, named after it', () => {
  const entry = (types) => ({ types, default: './dist/index.js' });
  const exports = { '.': entry('./a.d.ts'), './node': entry('./b.d.ts'), './package.json': './package.json' };
  expect(entryPoints({ exports })).toEqual([
    { name: 'index', types: './a.d.ts' },
    { name: 'node', types: './b.d.ts' },
  ]);
});

test('exports without a comment are named, members are not', () => {
  const report = [
    '// @public (undocumented)',
    'export const int4: NumberFormat;',
    '',
    '// @public',
    'export interface Documented {',
    '    // (undocumented)',
    '    readonly name: string;',
    '}',
    '',
    '// @public (undocumented)',
    'export abstract class Base<T> {',
    '// @public (undocumented)',
    'export function make(): void;',
  ];
  expect(undocumentedExports(report.join('\n'))).toEqual(['int4', 'Base', 'make']);
});

test('a difference holds the lines that only one text has', () => {
  expect(lineDifference('a\nb\nc', 'a\nd\nc')).toBe('- b\n+ d');
});

test('commands are found in the help text', () => {
  const overview =
    'Usage: lbs\n\nOptions:\n  -V  version\n\nCommands:\n  run [options] <model>\n        text\n  eval <model>  Measures.\n  help [command]\n';
  expect(commandNames(overview)).toEqual(['run', 'eval']);
});
