import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

/** Where `.ci/run` reads the counts of its closing line. */
const resultsFile = 'node_modules/.cache/vitest-results.json';

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    include: ['{packages/*,benchmarks,datasets}/src/**/*.test.ts', '.ci/**/*.test.mjs'],
    // Property tests and whole small models take seconds on a slow shared core.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: process.env['CI'] ? ['default', ['json', { outputFile: resultsFile }]] : ['default'],
  },
});
