import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

/** Uses modules of both kinds: those that the workers have from their start, and one that comes later. */
const use = `
  const { createKernels, LinearAlgebra } = await import(${JSON.stringify(new URL('../dist/index.js', import.meta.url).href)});
  const kernels = await createKernels({ threads: 3 });
  const [rows, columns] = [512, 512];
  const matrix = kernels.loadDense(new Float32Array(rows * columns).fill(1), rows, columns);
  const x = kernels.allocate(4 * rows * columns);
  const y = kernels.allocate(4 * rows * columns);
  kernels.float32(x, rows * columns).fill(1);
  kernels.multiply(matrix, x, y, 1);
  const sum = kernels.float32(y, rows)[rows - 1];
  new LinearAlgebra(kernels).multiplyTransposed(matrix, { input: x, output: y, tokens: 512 });
  process.stdout.write([kernels.threads, sum, kernels.float32(y, rows * columns)[rows * columns - 1]].join());
`;

/** A process that does not end is killed, and the promise rejected. */
function run(program: string) {
  const args = ['--input-type=module', '--eval', program];
  return promisify(execFile)(process.execPath, args, { timeout: 60_000 });
}

test('a process ends when all but its kernels is done, with nothing more printed', async () => {
  expect(await run(use)).toEqual({ stdout: '3,512,512', stderr: '' });
});

test('a process ends when it fails while its kernels have threads', async () => {
  await expect(run(`${use} throw new Error('after all');`)).rejects.toMatchObject({
    code: 1,
    killed: false,
    stdout: '3,512,512',
    stderr: expect.stringContaining('after all'),
  });
});

test('a process ends when its kernels were closed', async () => {
  const program = `${use} kernels.close(); process.stdout.write(' closed');`;
  expect(await run(program)).toEqual({ stdout: '3,512,512 closed', stderr: '' });
});
