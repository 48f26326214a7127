import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { openModel } from '@lbs/model-loaders/node';
import { afterAll, describe, expect, test } from 'vitest';
import { loadLanguageModel } from './language-model.js';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
/** A published model that is too large for the repository; the tests are skipped where it is missing. */
const smollm2 = path('../../../../../shared/data/models/SmolLM2-135M-Instruct.Q4_1.gguf');
const fixture = path('../fixtures/smollm2-continuations.json');

/** What llama.cpp writes with the weights of the file in float32, by scripts/make-llama-cpp-vectors.mjs. */
const { maxTokens, continuations }: { maxTokens: number; continuations: { prompt: string; text: string }[] } =
  JSON.parse(readFileSync(fixture, 'utf8'));

describe.skipIf(!existsSync(smollm2))('SmolLM2-135M, from its GGUF file', async () => {
  if (!existsSync(smollm2)) return;
  const source = await openModel(smollm2);
  const model = await loadLanguageModel(source);
  afterAll(() => source.close());

  test.each(continuations)('continues $prompt as llama.cpp does', async ({ prompt, text }) => {
    expect((await model.generate(model.encode(prompt), { maxTokens })).text).toBe(text);
  });

  test('weights stay packed in memory', () => {
    expect(model.decoder.weightBytes).toBeLessThan(1.2 * source.fileBytes);
  });

  test('answers a chat, and stops where its turn ends', async () => {
    const chat = [{ role: 'user', content: 'What is the capital of Italy?' }];
    const { tokens } = model.tokenizer.applyChatTemplate(chat, { addGenerationPrompt: true });
    expect(model.stopTokens).toContain(model.tokenizer.idOf('<|im_end|>'));
    expect(await model.generate(tokens, { maxTokens: 40 })).toMatchObject({ finishReason: 'stop' });
  });
});
