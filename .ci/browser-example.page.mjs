import { createReadStream, existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openModel } from '../packages/model-loaders/dist/node/index.js';
import { loadLanguageModel } from '../packages/runtime/dist/index.js';
import { chromiumArguments, findChromium } from './find-chromium.mjs';

/** The page of packages/runtime/examples/browser, as its README says to use it. */

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const example = path('../packages/runtime/examples/browser');
const gguf = path('../packages/runtime/src/fixtures/gguf/00-llama.gguf');
const tiny = path('../datasets/tiny-lm');
const smollm2 = path('../../shared/data/models/SmolLM2-135M-Instruct.Q4_1.gguf');
const prompt = 'Once upon a time';
const headers = {
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Embedder-Policy': 'require-corp',
};
const types = { html: 'text/html', js: 'text/javascript' };

let outDir;
let server;
let browser;
let address;

/** Serves the built page, and below /models/ the models, with ranges. */
function serve() {
  return createServer(({ url, headers: asked }, response) => {
    const name = normalize(new URL(url, 'http://page').pathname);
    const file = name.startsWith('/models/')
      ? join(name.startsWith('/models/tiny/') ? tiny : join(gguf, '..'), name.split('/').at(-1))
      : join(outDir, name);
    if (!existsSync(file)) return response.writeHead(404, headers).end();
    const { size } = statSync(file);
    const type = types[file.split('.').at(-1)] ?? 'application/octet-stream';
    const [, begin, end] = /^bytes=(\d+)-(\d*)$/.exec(asked.range ?? '') ?? [];
    if (begin === undefined) {
      response.writeHead(200, { ...headers, 'Content-Type': type, 'Content-Length': size });
      return createReadStream(file).pipe(response);
    }
    const last = Math.min(end === '' ? size - 1 : Number(end), size - 1);
    response.writeHead(206, {
      ...headers,
      'Content-Type': type,
      'Content-Length': last - Number(begin) + 1,
      'Content-Range': `bytes ${begin}-${last}/${size}`,
    });
    return createReadStream(file, { start: Number(begin), end: last }).pipe(response);
  });
}

beforeAll(async () => {
  outDir = mkdtempSync(join(tmpdir(), 'lbs-example-'));
  await build({ root: example, logLevel: 'error', build: { outDir, emptyOutDir: true } });
  server = serve();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  address = `http://127.0.0.1:${server.address().port}`;
  browser = await chromium.launch({ executablePath: findChromium(), args: chromiumArguments });
});
afterAll(async () => {
  await browser?.close();
  server?.close();
  rmSync(outDir, { recursive: true });
});

/** What Node generates with the same model. */
async function expected(model, chat) {
  const source = await openModel(model);
  const loaded = await loadLanguageModel(source);
  const messages = [{ role: 'user', content: prompt }];
  const tokens = chat
    ? loaded.tokenizer.applyChatTemplate(messages, { addGenerationPrompt: true }).tokens
    : loaded.encode(prompt);
  const { text } = await loaded.generate(tokens, { maxTokens: 16 });
  await source.close();
  return text;
}

/** Opens a model in the page and generates; gives back the answer and the last status. */
async function generate(open) {
  const page = await browser.newPage();
  const complaints = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(`${address}/index.html`);
  await open(page);
  await page.waitForFunction(() => !document.getElementById('generate').disabled, undefined, {
    timeout: 60_000,
  });
  await page.fill('#text', prompt);
  await page.fill('#max-tokens', '16');
  await page.click('#generate');
  await page.waitForFunction(
    () => /tokens until/.test(document.getElementById('status').textContent),
    undefined,
    {
      timeout: 60_000,
    },
  );
  const answer = await page.textContent('#answer');
  const status = await page.textContent('#status');
  await page.close();
  expect(complaints).toEqual([]);
  return { answer, status };
}

const choose = (files) => (page) => page.setInputFiles('#files', files);
const visit = (url) => async (page) => {
  await page.fill('#url', url);
  await page.click('#address button');
};

test('opens a chosen GGUF file', async () => {
  const { answer, status } = await generate(choose(gguf));
  expect(answer).toBe(await expected(gguf));
  expect(status).toMatch(/tokens until (stop|length)/);
});

test('opens the chosen files of a directory', async () => {
  const { answer } = await generate(choose(readdirSync(tiny).map((name) => join(tiny, name))));
  expect(answer).toBe(await expected(tiny));
});

test.each([
  ['a GGUF file', () => `${address}/models/00-llama.gguf`, gguf],
  ['a directory', () => `${address}/models/tiny/`, tiny],
])('opens %s of an address', async (_, url, model) => {
  expect((await generate(visit(url()))).answer).toBe(await expected(model));
});

test('says what is wrong', async () => {
  const page = await browser.newPage();
  await page.goto(`${address}/index.html`);
  await visit(`${address}/models/none.gguf`)(page);
  await page.waitForFunction(() => /no such file/.test(document.getElementById('status').textContent));
  await page.close();
});

test.skipIf(!existsSync(smollm2))('chats with SmolLM2', async () => {
  expect((await generate(choose(smollm2))).answer).toBe(await expected(smollm2, true));
});
