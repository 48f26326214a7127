import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const program = `
  const { createKernels } = await import(${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)});
  const kernels = await createKernels({ threads: 3 });
  const [rows, columns] = [512, 512];
  const matrix = kernels.loadDense(new Float32Array(rows * columns).fill(1), rows, columns);
  const x = kernels.allocate(4 * columns);
  const y = kernels.allocate(4 * rows);
  kernels.float32(x, columns).fill(1);
  kernels.multiply(matrix, x, y, 1);
  process.stdout.write(kernels.threads + ' threads, ' + kernels.float32(y, rows)[rows - 1]);
`;

test('a process ends when all but its kernels is done, with nothing more printed', async () => {
  const args = ['--input-type=module', '--eval', program];
  // A process that does not end is killed, and the promise rejected.
  expect(await promisify(execFile)(process.execPath, args, { timeout: 60_000 })).toEqual({
    stdout: '3 threads, 512',
    stderr: '',
  });
});
