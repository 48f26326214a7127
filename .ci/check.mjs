/**
 * Checks the packages as a user gets them: each program below runs, also where one before it failed.
 *
 *     node .ci/check.mjs
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const programs = [['check-published-packages.mjs'], ['check-bundles.mjs'], ['api-reports.mjs', '--check']];

for (const [name, ...args] of programs) {
  const path = fileURLToPath(new URL(name, import.meta.url));
  const { status } = spawnSync(process.execPath, [path, ...args], { stdio: 'inherit' });
  if (status !== 0) process.exitCode = 1;
}
