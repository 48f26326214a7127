import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { partTests } from '../.ci/browser-test-files.mjs';
import { chromiumArguments, findChromium } from '../.ci/find-chromium.mjs';

/** Where `.ci/run` reads the counts of its closing line. */
const resultsFile = 'node_modules/.cache/vitest-browser-results.json';

const timeouts = { testTimeout: 120_000, hookTimeout: 120_000 };

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  test: {
    reporters: process.env['CI'] ? ['default', ['json', { outputFile: resultsFile }]] : ['default'],
    projects: [
      {
        // Known beforehand: found in the middle of a run, it would make the page load again.
        optimizeDeps: { include: ['@lbs/model-loaders > @huggingface/tokenizers'] },
        // Shared memory, which threads need, exists only in pages that other origins cannot reach.
        server: {
          headers: {
            'Cross-Origin-Opener-Policy': 'same-origin',
            'Cross-Origin-Embedder-Policy': 'require-corp',
          },
        },
        test: {
          name: 'in a page',
          include: [...partTests().portable, '.ci/*.browser.mjs'],
          ...timeouts,
          browser: {
            enabled: true,
            headless: true,
            screenshotFailures: false,
            connectTimeout: 120_000,
            provider: playwright({
              launchOptions: { executablePath: findChromium(), args: chromiumArguments },
            }),
            instances: [{ browser: 'chromium' }],
          },
        },
      },
      // Run in Node, and look at pages in Chromium.
      { test: { name: 'at pages', include: ['.ci/*.page.mjs'], ...timeouts } },
    ],
  },
});
