import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/** Inputs that once broke a parser, one file each: `{ target, found, text }`, or `hex` where they are no text. */
const folder = new URL('corpus/', import.meta.url);

/** @returns {{ name: string, target: string, found: string, input: Uint8Array }[]} */
export function readCorpus() {
  return readdirSync(folder)
    .sort()
    .map((name) => {
      const { target, found, text, hex } = JSON.parse(readFileSync(new URL(name, folder), 'utf8'));
      const input = Uint8Array.from(Buffer.from(text ?? hex, text === undefined ? 'hex' : 'utf8'));
      return { name: name.replace(/\.json$/, ''), target, found, input };
    });
}

/** Adds a case, named after its target and content until somebody finds a better name. Gives the path. */
export function writeCase({ target, found, input }) {
  const bytes = Buffer.from(input);
  const text = bytes.toString('utf8');
  const content = Buffer.from(text, 'utf8').equals(bytes) ? { text } : { hex: bytes.toString('hex') };
  const digest = createHash('sha256').update(bytes).digest('hex').slice(0, 8);
  const path = new URL(`${target}-${digest}.json`, folder);
  writeFileSync(path, `${JSON.stringify({ target, found, ...content }, undefined, 2)}\n`);
  return path.pathname;
}
