/**
 * Makes src/fixtures/smollm2-continuations.json: what llama.cpp writes after some prompts, always taking the most likely token.
 *
 *     node scripts/make-llama-cpp-vectors.mjs LLAMA_COMPLETION MODEL.gguf
 *
 * LLAMA_COMPLETION is llama.cpp's program `llama-completion`, MODEL.gguf a copy of the model whose weights are its own in float32 (as gguf-py
 * dequantizes and writes them): with Q4_1 weights llama.cpp rounds activations to 8 bits, and continues 13 of the 20 prompts otherwise, at places
 * where the two best tokens are within 0.5 nats. Keys and values are float32 too. Prompts reach the model as they are, without a chat template.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const prompts = [
  'The capital of France is',
  'Once upon a time, there was a little girl who',
  'To bake a loaf of bread, you need',
  'The theory of relativity says that',
  'In 1969, the first human being',
  'def fibonacci(n):\n    ',
  'The three primary colours are',
  'Water boils at',
  '"I do not believe you," she said, and',
  'The most important thing about writing is',
  'A list of fruits:\n1. Apples\n2.',
  'Photosynthesis is the process by which',
  'If it rains tomorrow, we will',
  'The old man looked at the sea and',
  'SELECT name FROM users WHERE',
  'Dear Sir or Madam,\n\nI am writing to',
  'The difference between a virus and a bacterium is',
  'Shakespeare wrote',
  '<|im_start|>user\nWhat is the capital of Italy?<|im_end|>\n<|im_start|>assistant\n',
  '<|im_start|>user\nName three animals that live in the sea.<|im_end|>\n<|im_start|>assistant\n',
];
const maxTokens = 32;

const [program, model] = process.argv.slice(2);
const continuations = prompts.map((prompt) => {
  const options = [
    '-m',
    model,
    '-p',
    prompt,
    '-n',
    String(maxTokens),
    '--temp',
    '0',
    '-no-cnv',
    '--no-display-prompt',
    '-t',
    '1',
    '--no-warmup',
  ];
  const output = execFileSync(program, options, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  // It says so where a stop token came, and ends with an empty line.
  const text = output.replace(/ \[end of text\]\n*$/, '').replace(/\n\n$/, '');
  return { prompt, text };
});
const file = fileURLToPath(new URL('../src/fixtures/smollm2-continuations.json', import.meta.url));
writeFileSync(file, `${JSON.stringify({ maxTokens, continuations }, null, 1)}\n`);
