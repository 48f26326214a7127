import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { heldOutText, referenceModel } from '@lbs/datasets';
import { evaluatePerplexity } from '@lbs/eval-harness';
import { openModel } from '@lbs/model-loaders/node';
import { loadLanguageModel } from '@lbs/runtime';
import { expect, test } from 'vitest';

test('loader, tokenizer, runtime and harness together give the perplexity of PyTorch to 4 digits', async () => {
  // Made by datasets/scripts/make-perplexity-vector.py.
  const expected = JSON.parse(
    readFileSync(new URL('fixtures/reference-lm-perplexity.json', import.meta.url), 'utf8'),
  );
  const source = await openModel(fileURLToPath(referenceModel));
  const model = await loadLanguageModel(source);
  await source.close();
  const tokens = model.encode(readFileSync(heldOutText, 'utf8'));
  expect(tokens).toHaveLength(expected.textTokens);
  const { contextLength, chunks } = expected;
  const { perplexity, tokens: scored } = await evaluatePerplexity(model, tokens, { contextLength, chunks });
  expect(scored).toBe(expected.count);
  expect(Math.abs(perplexity.value / expected.perplexity - 1)).toBeLessThan(5e-6);
  expect(Math.abs(perplexity.stderr / expected.stderr - 1)).toBeLessThan(5e-5);
});
