import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['packages/*/src/**/*.test.ts', 'benchmarks/src/**/*.test.ts', 'datasets/src/**/*.test.ts', '.ci/**/*.test.mjs'],
    testTimeout: 120_000,
    reporters: process.env['CI'] ? ['default', './.ci/closing-line-reporter.mjs'] : ['default'],
  },
});
