import { fileURLToPath } from 'node:url';
import { playwright } from '@vitest/browser-playwright';
import { defineConfig } from 'vitest/config';
import { partTests } from '../.ci/browser-test-files.mjs';
import { findChromium } from '../.ci/find-chromium.mjs';

/** Where `.ci/run` reads the counts of its closing line. */
const resultsFile = 'node_modules/.cache/vitest-browser-results.json';

const chromiumArguments = [
  // The sandbox does not start as root, which CI machines and containers run as; the pages are this repository's own.
  '--no-sandbox',
  // /dev/shm has 64 MB in a container, too little for a page that holds models.
  '--disable-dev-shm-usage',
  // A test run talks to nobody.
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--no-first-run',
];

export default defineConfig({
  root: fileURLToPath(new URL('..', import.meta.url)),
  // Shared memory, which threads need, exists only in pages that other origins cannot reach.
  server: {
    headers: {
      'Cross-Origin-Opener-Policy': 'same-origin',
      'Cross-Origin-Embedder-Policy': 'require-corp',
    },
  },
  test: {
    include: [...partTests().portable, '.ci/*.browser.mjs'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: process.env['CI'] ? ['default', ['json', { outputFile: resultsFile }]] : ['default'],
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
});
