import { readFileSync } from 'node:fs';

/** Version of the `lbs` command. */
export const toolVersion: string = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
).version;
