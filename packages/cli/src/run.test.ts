import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { openModel } from '@lbs/model-loaders/node';
import { loadLanguageModel } from '@lbs/runtime';
import { afterAll, describe, expect, test } from 'vitest';
import { talk } from './talk.js';

const bin = fileURLToPath(new URL('../dist/bin.js', import.meta.url));
const tiny = fileURLToPath(new URL('../../../datasets/tiny-lm', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'lbs-run-'));
afterAll(() => rmSync(folder, { recursive: true }));

const template =
  "{{ bos_token }}{% for m in messages %}{{ '[' + m.role + '] ' + m.content + '\n' }}{% endfor %}" +
  "{% if add_generation_prompt %}{{ '[assistant]' }}{% endif %}";

/** The tiny model with a chat template. */
const chatting = join(folder, 'chatting');
cpSync(tiny, chatting, { recursive: true });
const configFile = join(chatting, 'tokenizer_config.json');
const config = JSON.parse(readFileSync(configFile, 'utf8'));
writeFileSync(configFile, JSON.stringify({ ...config, chat_template: template }));

function lbs(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const env = { ...process.env, NO_COLOR: '1' };
    const child = execFile(process.execPath, [bin, ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
    );
    child.stdin?.end();
  });
}

const json = async (...args: string[]) => {
  const { code, stdout, stderr } = await lbs('run', ...args, '--max-tokens', '12', '--json');
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout);
};

describe('run', () => {
  test('chats with a model that has a template, unless it is told to continue the text', async () => {
    const raw = await json(tiny, '--prompt', 'Once');
    expect(raw).toMatchObject({ chat: false, finishReason: 'length', completionTokens: 12 });
    expect(await json(chatting, '--prompt', 'Once', '--raw')).toMatchObject({
      text: raw.text,
      tokens: raw.tokens,
    });
    const chat = await json(chatting, '--prompt', 'Once');
    expect(chat).toMatchObject({ chat: true });
    const written = '[user] Once\n[assistant]';
    expect(await json(chatting, '--raw', '--prompt', written)).toMatchObject({ text: chat.text });
    const system = await json(chatting, '--prompt', 'Once', '--system', 'Be brief.');
    expect(await json(tiny, '--prompt', `[system] Be brief.\n${written}`)).toMatchObject({
      text: system.text,
    });
  });

  test('samples as it is told, and ends before a text', async () => {
    const sampled = ['--prompt', 'Once', '--temperature', '1.5', '--seed', '4'];
    const free = await json(tiny, ...sampled);
    expect(await json(tiny, ...sampled)).toMatchObject({ text: free.text });
    expect((await json(tiny, '--prompt', 'Once')).text).not.toBe(free.text);
    expect(await json(tiny, ...sampled, '--top-k', '1')).toMatchObject({
      text: (await json(tiny, '--prompt', 'Once')).text,
    });
    const stop = free.text.slice(4, 7);
    expect(await json(tiny, ...sampled, '--stop', 'never', stop)).toMatchObject({
      text: free.text.slice(0, free.text.indexOf(stop)),
      finishReason: 'stop',
    });
  });

  test.each([
    [['--system', 'Be brief.', '--prompt', 'a'], /no chat template: leave out --system/],
    [['--raw'], /run needs a prompt.*--prompt TEXT/],
    [['--prompt', 'a', '--top-p', '2'], /topP 2/],
    [['--prompt', 'a', '--max-tokens', '4000'], /do not fit the context of 128/],
  ])('refuses %j', async (args, message) => {
    const { code, stderr } = await lbs('run', tiny, ...args);
    expect(code).toBe(1);
    expect(stderr).toMatch(message);
  });
});

describe('a conversation', async () => {
  const source = await openModel(chatting);
  const model = await loadLanguageModel(source);
  afterAll(() => source.close());
  const options = { maxTokens: 6, stopTokens: [], defaultMaxTokens: 6 };

  /** Types the lines, each when the one before has been answered, and gives back what the terminal shows. */
  async function type(
    lines: readonly string[],
    chats = true,
    maxTokens = 6,
    onAnswer = () => {},
  ): Promise<string> {
    const input = new PassThrough();
    const output = new PassThrough();
    let shown = '';
    let asked = 0;
    output.on('data', (data) => {
      // Where colours are on, the prompt is bold.
      shown += String(data).replaceAll('\x1b[1m', '').replaceAll('\x1b[22m', '');
      if (!shown.endsWith('> ')) {
        if (asked > 0) onAnswer();
        return;
      }
      if (asked < lines.length) input.write(`${lines[asked++]}\n`);
      else input.end();
    });
    const signal = new AbortController().signal;
    await talk(model, { chats, messages: [] }, { ...options, maxTokens }, signal, { input, output });
    return shown;
  }

  test('remembers what was said', async () => {
    const written = '[user] One\n[assistant]';
    const one = (await model.generate(model.encode(written), options)).text;
    const both = `[user] One\n[assistant] ${one}\n[user] Two\n[assistant]`;
    const two = (await model.generate(model.encode(both), options)).text;
    expect(await type(['One', '', 'Two'])).toBe(`> ${one}\n> > ${two}\n> `);
  });

  test('continues each text alone where there is no chat', async () => {
    const one = (await model.generate(model.encode('One'), options)).text;
    expect(await type(['One', 'One'], false)).toBe(`> ${one}\n> ${one}\n> `);
  });
});
