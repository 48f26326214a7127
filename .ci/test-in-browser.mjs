/**
 * Runs the tests that need nothing from Node in a headless Chromium. Arguments are passed on to vitest. Without a
 * Chromium it says so and succeeds, except where CI is set: there a test that does not run must be seen.
 *
 *     node .ci/test-in-browser.mjs [arguments of vitest]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { partTests } from './browser-test-files.mjs';
import { findChromium } from './find-chromium.mjs';

if (findChromium() === undefined) {
  const mend = 'install it (Debian: apt-get install chromium) or name it in CHROMIUM_PATH';
  console.log(`browser tests ${process.env.CI ? 'FAILED' : 'SKIPPED'}: no Chromium found; ${mend}`);
  process.exitCode = process.env.CI ? 1 : 0;
} else {
  const { portable, nodeOnly } = partTests();
  for (const { file, imports } of nodeOnly) console.log(`in Node only: ${file}, for ${imports}`);
  console.log(`in Node and in the browser: ${portable.length} test files`);
  const args = ['run', '--config', '.config/vitest.browser.config.mjs', ...process.argv.slice(2)];
  // A shell finds vitest's command under Windows too.
  const vitest = spawn('vitest', args, { stdio: 'inherit', shell: process.platform === 'win32' });
  [process.exitCode] = await once(vitest, 'exit');
}
