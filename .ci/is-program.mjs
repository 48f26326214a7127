import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

/** True where a module is the program that node was started with, not an import of another. */
export function isProgram(meta) {
  return process.argv[1] !== undefined && relative(process.argv[1], fileURLToPath(meta.url)) === '';
}
