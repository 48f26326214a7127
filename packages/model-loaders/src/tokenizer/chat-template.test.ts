import { existsSync, readFileSync } from 'node:fs';
import { InvalidArgumentError, UnsupportedError } from '@lbs/format';
import { describe, expect, it } from 'vitest';
import type { JsonObject } from '../config/json-file.js';
import { jsonFixture, referenceModel, smollm2 } from '../fixtures/paths.js';
import { openModel } from '../node/open-model.js';
import type { ChatMessage } from './chat-template.js';
import { createTokenizer } from './tokenizer.js';

interface Chat {
  readonly messages: readonly ChatMessage[];
  readonly add_generation_prompt: boolean;
  readonly tools?: readonly object[];
  readonly enable_thinking?: boolean;
}

/** What transformers renders, by scripts/make_chat_templates.py; null where the template refuses the chat. */
const { chats, templates } = jsonFixture<{
  chats: Chat[];
  templates: { name: string; template?: string; texts: (string | null)[] }[];
}>('chat-templates.json');

const tokenizerJson = JSON.parse(readFileSync(`${referenceModel}/tokenizer.json`, 'utf8')) as JsonObject;
const withTemplate = (chat_template: unknown, more: JsonObject = {}) =>
  createTokenizer(
    tokenizerJson,
    { bos_token: '<s>', eos_token: { content: '</s>' }, chat_template, ...more },
    'f',
  );
const optionsOf = ({ add_generation_prompt, tools, enable_thinking }: Chat) => ({
  addGenerationPrompt: add_generation_prompt,
  ...(tools && { tools }),
  ...(enable_thinking !== undefined && { variables: { enable_thinking } }),
});
const hello = [{ role: 'user', content: 'Hello' }];

describe('a chat is rendered as transformers renders it', () => {
  const typed = templates.filter(({ template }) => template !== undefined);
  it.each(typed.map((entry) => [entry.name, entry] as const))('%s', (_, { template, texts }) => {
    const tokenizer = withTemplate(template);
    for (const [i, chat] of chats.entries()) {
      const apply = () => tokenizer.applyChatTemplate(chat.messages, optionsOf(chat));
      if (texts[i] === null) expect(apply).toThrow(InvalidArgumentError);
      else expect(apply().text).toBe(texts[i]);
    }
  });

  it.skipIf(!existsSync(smollm2))('smollm2, with its own template', async () => {
    const { tokenizer, close } = await openModel(smollm2);
    await close();
    const { texts } = templates.find(({ name }) => name === 'smollm2')!;
    const rendered = chats.map((chat) => tokenizer.applyChatTemplate(chat.messages, optionsOf(chat)).text);
    expect(rendered).toEqual(texts);
    const { tokens } = tokenizer.applyChatTemplate(hello, { addGenerationPrompt: true });
    expect(tokens.slice(-4)).toEqual([1, 520, 9531, 198]);
    expect(tokens[0]).toBe(tokenizer.idOf('<|im_start|>'));
  });
});

describe('applyChatTemplate', () => {
  it('begins with one beginning of sequence', () => {
    const config = { bos_token: '<|endoftext|>', add_bos_token: true };
    const tokenizer = withTemplate('{{ bos_token }}{{ messages[0].content }}', config);
    const { tokens } = tokenizer.applyChatTemplate(hello);
    expect(tokens).toEqual([tokenizer.beginningOfSequence, ...tokenizer.encode('Hello')]);
  });

  it('takes the template that is made for tools, where there is one', () => {
    const named = [
      { name: 'default', template: 'plain' },
      { name: 'tool_use', template: 'tools' },
    ];
    const tokenizer = withTemplate(named);
    expect(tokenizer.chatTemplate).toBe('plain');
    expect(tokenizer.applyChatTemplate(hello).text).toBe('plain');
    expect(tokenizer.applyChatTemplate(hello, { tools: [{}] }).text).toBe('tools');
  });

  it('writes dates', () => {
    const { text } = withTemplate("{{ strftime_now('%d %b %Y %%') }}").applyChatTemplate(hello);
    expect(text).toMatch(/^\d\d [A-Z][a-z]{2} 20\d\d %$/);
  });

  it('says that there is no template, or that it cannot be read', () => {
    expect(withTemplate(undefined).chatTemplate).toBeUndefined();
    for (const template of [
      undefined,
      '{% if %}',
      '{{ ',
      `{{ ${'('.repeat(100_000)}`,
      'x'.repeat(2 ** 20 + 1),
    ]) {
      expect(() => withTemplate(template).applyChatTemplate(hello)).toThrow(UnsupportedError);
    }
  });

  it.each([
    ['loops', '{% for a in range(60000) %}{% for b in range(999) %}{% endfor %}{% endfor %}'],
    ['long lists', '{% for a in range(1000000000) %}{% endfor %}'],
    ['lists of small steps', '{% for a in range(0, 1, 0.00000001) %}{% endfor %}'],
    [
      'texts that double',
      "{% set t = namespace(x='aaaaaaaa') %}{% for a in range(99) %}{% set t.x = t.x ~ t.x %}{% endfor %}",
    ],
    [
      'texts by filters',
      "{{ (range(60000) | join('aaaaaaaaaaaaaaaa')) | replace('a', 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa') }}",
    ],
    ['recursion', '{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}'],
    [
      'loops over characters',
      "{% set t = range(60000) | join('aaaaaaaaaaaaaaaa') %}{% for a in range(60000) %}{% for c in t %}{% endfor %}{% endfor %}",
    ],
  ])('is not held up by %s', (_, template) => {
    expect(() => withTemplate(template).applyChatTemplate(hello)).toThrow(InvalidArgumentError);
  });
});
