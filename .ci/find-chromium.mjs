/**
 * Finds the Chromium that the browser tests run in. Needs no installed package. As a program it prints the path, and
 * fails where there is none.
 *
 *     node .ci/find-chromium.mjs
 */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isProgram } from './is-program.mjs';

/** Names by which distributions install Chromium, then browsers that are built from it. */
const commands = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome', 'microsoft-edge'];

/** Where the installers of macOS and Windows put it, which is not on the path. */
const applications = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
];

/** What a run of tests starts it with. */
export const chromiumArguments = [
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

/**
 * Path of the system's Chromium, undefined where there is none. `CHROMIUM_PATH` comes before all others; throws where it
 * names no program, because another browser than the one that was asked for would hide the mistake.
 */
export function findChromium(environment = process.env) {
  const { CHROMIUM_PATH: chosen, PATH: path = '' } = environment;
  if (chosen) {
    if (isExecutable(chosen)) return chosen;
    throw new Error(`CHROMIUM_PATH is ${chosen}, which is not a program`);
  }
  const folders = path.split(delimiter).filter(Boolean);
  return [...folders.flatMap((folder) => commands.map((name) => join(folder, name))), ...applications].find(
    isExecutable,
  );
}

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

if (isProgram(import.meta)) {
  const path = findChromium();
  console.log(path ?? 'no Chromium found');
  process.exitCode = path === undefined ? 1 : 0;
}
