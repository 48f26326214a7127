/**
 * Holds the tokenizers against what make_tokenizers.py --corpus wrote, and says how long they took.
 *
 *     node scripts/compare-tokenizers.mjs DIRECTORY
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTokenizer } from '../dist/index.js';

const [directory] = process.argv.slice(2);
const read = (name) => JSON.parse(readFileSync(join(directory, name), 'utf8'));
const digest = (text) => createHash('sha256').update(text).digest('hex').slice(0, 8);
const texts = read('texts.json');
for (const name of readdirSync(directory).sort()) {
  if (name === 'texts.json' || !name.endsWith('.json')) continue;
  const { tokenizer: json, ids, decoded } = read(name);
  const tokenizer = createTokenizer(json, {}, name);
  const wrong = [];
  let text = '';
  let tokens = 0;
  const start = performance.now();
  for (const [i, input] of texts.entries()) {
    const encoded = tokenizer.encode(input);
    tokens += encoded.length;
    if (digest(encoded.join(',')) !== ids[i]) wrong.push(i);
    text += `${i > 0 ? '\0' : ''}${tokenizer.decode(encoded)}`;
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  if (digest(text) !== decoded) wrong.push('decoded');
  const verdict = wrong.length === 0 ? 'equal' : `DIFFERENT in ${wrong.join(', ').slice(0, 200)}`;
  console.log(`${name}: ${texts.length} texts, ${tokens} tokens, ${seconds} s: ${verdict}`);
  if (verdict !== 'equal') process.exitCode = 1;
}
