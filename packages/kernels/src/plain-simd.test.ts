import { describe, expect, it, vi } from 'vitest';
import { createKernels } from './index.js';
import { hasRelaxedSimd } from './simd.js';

// The tests of the decoder's kernels take the instructions that kernels choose by themselves. Where these are relaxed ones, the same tests run
// here as an engine that lacks them would.
describe.runIf(hasRelaxedSimd())('on plain SIMD', async () => {
  vi.spyOn(WebAssembly, 'validate').mockReturnValue(false);

  it('is what kernels are made of here', async () => {
    expect((await createKernels()).simd).toBe('plain');
  });

  await import('./multiply.test.js');
  await import('./decoder.test.js');
  await import('./threads.test.js');
});
