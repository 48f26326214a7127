import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { evaluatePerplexity } from '@lbs/eval-harness';
import { openModel } from '@lbs/model-loaders/node';
import { loadLanguageModel } from '@lbs/runtime';
import { expect, test } from 'vitest';

// A published model of 98 MB, which is no part of the repository.
const file = fileURLToPath(
  new URL('../../../shared/data/models/SmolLM2-135M-Instruct.Q4_1.gguf', import.meta.url),
);

test.skipIf(!existsSync(file))(
  'a published GGUF model has the perplexity that PyTorch gives it, to 4 digits',
  async () => {
    // Made by benchmarks/scripts/make-smollm2-vector.py.
    const expected = JSON.parse(
      readFileSync(new URL('fixtures/smollm2-perplexity.json', import.meta.url), 'utf8'),
    );
    const source = await openModel(file);
    const model = await loadLanguageModel(source, { contextLength: expected.contextLength });
    await source.close();
    const { contextLength, chunks } = expected;
    const { perplexity, tokens } = await evaluatePerplexity(model, expected.tokens, {
      contextLength,
      chunks,
    });
    expect(tokens).toBe(expected.count);
    expect(Math.abs(perplexity.value / expected.perplexity - 1)).toBeLessThan(5e-5);
  },
);
